"""Retrievers on mteb's tasks from texts to videos and back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.config import Config
from torch import Tensor

from diffusionret_mm.apis import encoder
from diffusionret_mm.extras import import_extra
from diffusionret_mm.features.scoring import similarity_matrix
from diffusionret_mm.search.pooling import frame_weights, pool_texts, pool_videos
from diffusionret_mm.structures import TextFeatures, VideoFeatures

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.model_meta import ModelMeta

    from diffusionret_mm.models.retrievers import TextVideoRetriever

PathLike = str | os.PathLike[str]
EXTRA = 'mteb'
DIRECTIONS = ('t2v', 'v2t')  # mteb calls them categories
FORMS = ('pooled', 'late-interaction', 'reranked')
CHUNK_SIZE = 64  # of the similarity, as in evaluation
# Videos that lie in a temporary folder at a time.
CHUNK_FILES = 256


class TextVideoEncoder:
    """A retriever as a model that searches, which mteb calls its `SearchProtocol`.

    Videos are decoded from their files by the test pipeline of the config, as in evaluation; mteb's
    own decoder, torchcodec, is not needed. Queries have their place in the task as their number.

    Args:
        config: config file or `Config` of the retriever.
        checkpoint: as of `apis.encoder.TextVideoEncoder`.
        form: what a query and a candidate are scored by. 'pooled': the cosine of one vector each,
            which the first step of a search takes. 'late-interaction': the similarity of the model.
            'reranked': the best candidates of that are re-ranked by its second stage.
        **options: of `apis.encoder.TextVideoEncoder`.

    Raises:
        ValueError: if there is no such form, or the model re-ranks nothing and should.
        FileNotFoundError, CheckpointError: as `apis.encoder.TextVideoEncoder`.
    """

    def __init__(
        self,
        config: PathLike | Config,
        checkpoint: PathLike | None = None,
        form: str = 'pooled',
        **options: Any,
    ) -> None:
        if form not in FORMS:
            raise ValueError(f'form must be one of {FORMS}; got {form!r}.')
        self.encoder = encoder.TextVideoEncoder(config, checkpoint, **options)
        self.form = form
        self.score = scoring_of(self.encoder.model, form)
        self._ids: list[str] = []
        self._candidates: TextFeatures | VideoFeatures | None = None

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """Name and revision, by which mteb keeps results apart: config, form, weights."""
        model_meta = import_extra('mteb.models.model_meta', EXTRA)
        name = Path(self.encoder.cfg.filename or 'config').stem
        return model_meta.ModelMeta.create_empty(
            dict(
                name=f'diffusionret_mm/{name}-{self.form}',
                revision=self.encoder.fingerprint['weights'],
                modalities=['text', 'video'],
            )
        )

    def index(
        self,
        corpus: Dataset,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        encode_kwargs: Mapping[str, Any],
        num_proc: int | None = None,
    ) -> None:
        """Encode the candidates of a task.

        Args:
            corpus: rows with `id`, and `text` or `video`.
            task_metadata: says in which direction the task searches.
            hf_split: of no use here.
            hf_subset: of no use here.
            encode_kwargs: `batch_size` is that of the encoders.
            num_proc: processes that decode, if it is set.

        Raises:
            ValueError: if the task is not from text to video or back.
            VideoReadError: if a video cannot be read.
        """
        _, kind = sides_of(task_metadata)
        self._ids = list(corpus['id'])
        self._candidates = self._encode(corpus, kind, encode_kwargs, num_proc)

    @torch.no_grad()
    def search(
        self,
        queries: Dataset,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        encode_kwargs: Mapping[str, Any],
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        num_proc: int | None = None,
    ) -> dict[str, dict[str, float]]:
        """Rank the candidates for each query.

        Args:
            queries: rows with `id`, and `text` or `video`.
            task_metadata: as of `index`.
            hf_split: of no use here.
            hf_subset: of no use here.
            top_k: candidates of a query that are returned.
            encode_kwargs: as of `index`.
            top_ranked: must be None.
            num_proc: as of `index`.

        Returns:
            The scores of the best candidates, by the ids of query and candidate.

        Raises:
            ValueError: as `index`; or if nothing was indexed, or the task brings candidates.
        """
        if self._candidates is None:
            raise ValueError('Nothing was indexed: call index before search.')
        if top_ranked is not None:
            raise ValueError(
                f'{task_metadata.name} brings candidates of its own for each query; a retriever '
                'chooses them from all. Choose a task of --list.'
            )
        kind, _ = sides_of(task_metadata)
        encoded = self._encode(queries, kind, encode_kwargs, num_proc)
        scores = self.score(task_metadata.category, encoded, self._candidates)
        best = scores.topk(min(top_k, scores.shape[1]), dim=1)
        rows = zip(queries['id'], best.values.tolist(), best.indices.tolist(), strict=True)
        return {
            query: {self._ids[row]: value for value, row in zip(values, chosen, strict=True)}
            for query, values, chosen in rows
        }

    def _encode(
        self, rows: Dataset, kind: str, encode_kwargs: Mapping[str, Any], num_proc: int | None
    ) -> TextFeatures | VideoFeatures:
        self.encoder.batch_size = encode_kwargs.get('batch_size', self.encoder.batch_size)
        self.encoder.num_workers = num_proc or self.encoder.num_workers
        if kind == 'text':
            return self.encoder.encode_text(list(rows['text']))
        datasets = import_extra('datasets', EXTRA)
        files = rows.select_columns(['video']).cast_column('video', datasets.Video(decode=False))
        return encode_files(self.encoder, [row['video'] for row in files])


def scoring_of(
    model: TextVideoRetriever, form: str
) -> Callable[[str, TextFeatures | VideoFeatures, TextFeatures | VideoFeatures], Tensor]:
    """Return what scores queries and candidates in a form.

    Args:
        model: the retriever.
        form: one of `FORMS`.

    Returns:
        A function of the direction, n queries and C candidates, whose scores are [n, C].

    Raises:
        ValueError: if the form is 'reranked' and the model re-ranks nothing.
    """
    if form == 'reranked' and not any(model.num_candidates(way) for way in DIRECTIONS):
        raise ValueError(
            f'{type(model).__name__} in its stage {model.stage!r} re-ranks no candidates; choose '
            'another form, or a model with a second stage.'
        )

    def score(direction: str, queries: Any, candidates: Any) -> Tensor:
        texts, videos = (queries, candidates) if direction == 't2v' else (candidates, queries)
        if form == 'pooled':
            pooled = pool_videos(videos, frame_weights(model, videos))
            scores = pool_texts(model, texts) @ pooled.t()
        else:
            scores = similarity_matrix(model, texts, videos, CHUNK_SIZE)
        scores = scores if direction == 't2v' else scores.t()
        if form != 'reranked':
            return scores
        numbers = torch.arange(len(queries))
        return model.rerank_queries(direction, scores, queries, candidates, numbers)

    return score


def sides_of(task_metadata: TaskMetadata) -> tuple[str, str]:
    """Return what queries and candidates of a task are, 'text' or 'video'.

    Raises:
        ValueError: if they are something else.
    """
    if task_metadata.category not in DIRECTIONS:
        raise ValueError(
            f'{task_metadata.name} searches {task_metadata.category}; a retriever of texts and '
            f'videos does {" and ".join(DIRECTIONS)}.'
        )
    return ('text', 'video') if task_metadata.category == 't2v' else ('video', 'text')


def encode_files(
    model: encoder.TextVideoEncoder, rows: Sequence[Mapping[str, Any]]
) -> VideoFeatures:
    """Encode videos that are files, or contents of files.

    Args:
        model: the encoders.
        rows: for each of M videos its contents as `bytes`, or None, and the `path` of its file.

    Returns:
        Their features, in their order.

    Raises:
        FileNotFoundError: if a file does not exist.
        VideoReadError: if one cannot be read; it names a file in a temporary folder, with the
            number of the video, if its contents were given.
    """
    parts = []
    for start in range(0, len(rows), CHUNK_FILES):
        with tempfile.TemporaryDirectory() as folder:
            chunk = enumerate(rows[start : start + CHUNK_FILES], start=start)
            files = [_file_of(row, Path(folder), number) for number, row in chunk]
            parts.append(model.encode_video(files))
    return VideoFeatures.cat(parts)


def _file_of(row: Mapping[str, Any], folder: Path, number: int) -> Path:
    if row['bytes'] is None:
        return Path(row['path'])
    file = folder / f'video_{number}{Path(row["path"] or "").suffix}'
    file.write_bytes(row['bytes'])
    return file
