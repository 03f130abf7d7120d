"""A retriever with a discriminative similarity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor, BaseModel, is_model_wrapper
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from diffusionret_mm.models.backbones.base import TextVideoBackbone
from diffusionret_mm.models.checkpoint_check import check_finite, check_state_dict
from diffusionret_mm.models.data_preprocessor import RetrievalDataPreprocessor
from diffusionret_mm.models.gather import GATHER_RULES, gather_batch
from diffusionret_mm.models.retrievers.pretrained import FromPretrained
from diffusionret_mm.models.retrievers.reranking import ReRanking
from diffusionret_mm.models.retrievers.stages import InStages
from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.structures import TextFeatures, VideoFeatures

Batch = Mapping[str, Any]
# What the attribute was called in checkpoints of earlier versions.
OLD_SIMILARITY = 'similarity_head.'
# In the config of a part: the width of the backbone's features.
EMBED_DIM = 'embed_dim'


@MODELS.register_module()
class TextVideoRetriever(InStages, ReRanking, FromPretrained, BaseModel):
    """Backbone, temporal module, similarity and loss, each from its config.

    `similarity(texts, videos)` scores N texts against M videos, [N, M]. A model that re-ranks
    overrides `num_candidates` and `refine` (`ReRanking`); one that trains in several stages
    overrides the members of `InStages`. `FromPretrained` says whether it needs a checkpoint.

    Checkpoints are loaded strictly: a missing, unknown or misshapen tensor is an error.

    Args:
        backbone: encoder of words and frames. None: there is none, and features come from
            elsewhere, such as a `FeatureDataset`.
        similarity: scores every text against every video. In its config, and in those of other
            parts, a `width` of None is that of the backbone.
        loss: loss of a batch of scores.
        temporal: module that puts frames into context; None leaves them as they are.
        data_preprocessor: config of the data preprocessor; it takes the mean and standard deviation
            of the frames from the backbone if it has none of its own.
        gather: how several processes join their batches: 'exact' trains as one process with the
            global batch would, 'published' divides the gradients of backbone and temporal module by
            the number of processes.
        encode_chunk: videos, with their frames, that a training step encodes at a time; None takes
            the batch. Activations of a chunk are computed again in the backward pass, so the memory
            is that of one chunk, and the negatives stay those of the whole batch. (Accumulating
            gradients over small batches would have fewer negatives.)
        embed_dim: width of the features of a model without a backbone; the tools take it from the
            data set.

    Raises:
        ValueError: if an option is none of those.
    """

    data_preprocessor: RetrievalDataPreprocessor
    """Normalises and joins the items of a batch."""

    num_cached_negatives: int | None = None
    """Hard negatives per training row that a feature cache must find in the whole training set;
    None: the model takes its negatives from the batch."""

    gallery_sizes: tuple[int, ...] = ()
    """Numbers of videos of the random galleries that a feature cache draws for the batches, one of
    them for each batch; none: the model wants no galleries."""

    def __init__(
        self,
        backbone: Mapping[str, Any] | None,
        similarity: Mapping[str, Any],
        loss: Mapping[str, Any],
        temporal: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        gather: str = 'exact',
        encode_chunk: int | None = None,
        embed_dim: int | None = None,
    ) -> None:
        if gather not in GATHER_RULES:
            raise ValueError(f'gather must be one of {GATHER_RULES}; got {gather!r}.')
        if encode_chunk is not None and encode_chunk < 1:
            raise ValueError(f'encode_chunk counts videos, at least 1; got {encode_chunk}.')
        if backbone is None:
            backbone = dict(type='FeatureBackbone', embed_dim=embed_dim)
        elif embed_dim is not None:
            raise ValueError(
                f'embed_dim={embed_dim} is for models with backbone=None; leave it out: widths '
                'follow the backbone.'
            )
        encoder: TextVideoBackbone = MODELS.build(backbone)
        super().__init__(data_preprocessor=_build_preprocessor(data_preprocessor, encoder))
        self.backbone = encoder
        self.temporal = self.build_part(temporal) if temporal else None
        self.similarity: Similarity = self.build_part(similarity)
        self.loss_head = MODELS.build(loss)
        self.gather = gather
        self.encode_chunk = encode_chunk

    def build_part(self, config: Mapping[str, Any]) -> Any:
        """Build a module of the model; every `width=None` in its config is the backbone's width.

        Raises:
            ValueError: if its config has another width.
        """
        return MODELS.build(fill_width(config, self.backbone.embed_dim))

    def init_weights(self) -> None:
        """Load the backbone's pre-trained weights, then start other transformers from them."""
        super().init_weights()
        check_finite(self.backbone.state_dict(), 'What the backbone starts from')
        tower = self.backbone.text_tower
        for module in (self.temporal, self.similarity):
            if tower is not None and module is not None:
                module.init_from_text_tower(tower)

    @classmethod
    def of(cls, module: nn.Module) -> TextVideoRetriever:
        """Return the retriever inside of a distributed wrapper, or the module itself.

        Args:
            module: the model of a runner.

        Raises:
            TypeError: if it is no retriever.
        """
        inner = module.module if is_model_wrapper(module) else module
        if not isinstance(inner, TextVideoRetriever):
            raise TypeError(
                f'{type(inner).__name__} is no TextVideoRetriever, which the hooks and loops of '
                'diffusionret_mm work with. Use those of mmengine for other models.'
            )
        return inner

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Encode tokenised texts.

        Args:
            ids: CLIP token ids, shape [N, L], int64.
            mask: True for real tokens, shape [N, L], bool.

        Returns:
            Features of N texts, float32.
        """
        words, pooled = self.backbone.encode_words(ids, mask)
        return TextFeatures(words=words.float(), mask=mask, pooled=pooled.float())

    def encode_video(self, frames: Tensor, mask: Tensor) -> VideoFeatures:
        """Encode normalised frames.

        Args:
            frames: shape [M, F, 3, H, W], float.
            mask: True for real frames, shape [M, F], bool.

        Returns:
            Features of M videos, float32.
        """
        return self.add_context(self.encode_frames(frames, mask), mask)

    def encode_frames(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Encode normalised frames, each on its own: the part before the temporal module.

        Args:
            frames: shape [M, F, 3, H, W], float.
            mask: True for real frames, shape [M, F], bool; padded ones get a feature of their own.

        Returns:
            Features, shape [M, F, D], float32. One does not depend on the other frames.
        """
        return self.backbone.encode_frames(frames, mask).float()

    def add_context(self, frames: Tensor, mask: Tensor) -> VideoFeatures:
        """Put encoded frames into the context of their video: the part after `encode_frames`.

        Args:
            frames: what `encode_frames` made of the frames of M videos or spans, [M, F, D].
            mask: True for real frames, which come first, shape [M, F], bool.

        Returns:
            Features of M videos, float32.
        """
        if self.temporal is not None:
            frames = self.temporal(frames, mask)
        return VideoFeatures(frames=frames.float(), mask=mask)

    def frame_attention(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor | None:
        """Return how much each text attends to the frames of its video.

        Arguments and result as of `Similarity.frame_attention`.
        """
        return self.similarity.frame_attention(texts, videos)

    def extract(self, inputs: Batch) -> tuple[TextFeatures, VideoFeatures]:
        """Return the features of a batch; those of a feature cache are there already.

        Args:
            inputs: ids, text_mask, frames and frame_mask as `RetrievalDataPreprocessor` makes them,
                or the features `texts` and `videos`.
        """
        if 'texts' in inputs:
            return inputs['texts'], inputs['videos']
        texts = self.encode_text(inputs['ids'], inputs['text_mask'])
        frames, mask = inputs['frames'], inputs['frame_mask']
        if self.encode_chunk is None or not torch.is_grad_enabled():
            return texts, self.encode_video(frames, mask)
        parts = zip(frames.split(self.encode_chunk), mask.split(self.encode_chunk), strict=True)
        encoded = [checkpoint(self._encode_chunk, *part, use_reentrant=False) for part in parts]
        return texts, VideoFeatures(frames=torch.cat(encoded), mask=mask)

    def _encode_chunk(self, frames: Tensor, mask: Tensor) -> Tensor:
        return self.encode_video(frames, mask).frames

    def forward(self, inputs: Batch, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """Run a batch, as mmengine calls it.

        Args:
            inputs: the batch of `RetrievalDataPreprocessor`.
            data_samples: unused here; mmengine passes them.
            mode: 'loss' for a dict of losses, 'tensor' or 'predict' for the features of the batch.
                Ranks are made from all features of a split, by the evaluation loops.

        Returns:
            A dict of losses, or `(TextFeatures, VideoFeatures)`.

        Raises:
            ValueError: on another mode.
        """
        if mode not in ('loss', 'tensor', 'predict'):
            raise ValueError(f"mode must be 'loss', 'tensor' or 'predict'; got {mode!r}.")
        texts, videos = self.extract(inputs)
        if mode != 'loss':
            return texts, videos
        own = inputs['video_of_text'], inputs['video_index']
        return self.loss(*gather_batch(texts, videos, *own, rule=self.gather))

    def loss(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the loss of the global batch.

        Args:
            texts: N texts.
            videos: M videos.
            video_of_text: row of each text's video, shape [N], int64.
            video_index: identity of each video, shape [M], int64.

        Returns:
            Named losses; mmengine adds those with `loss` in their name.
        """
        scores = self.similarity(texts, videos)
        return self.loss_head(scores, self.backbone.logit_scale, video_of_text, video_index)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Refuse a checkpoint that does not fit; every way of loading comes through here."""
        rename_similarity(state_dict, prefix)
        if not prefix:
            check_state_dict(self, state_dict)
        super()._load_from_state_dict(state_dict, prefix, *args)


def rename_similarity(state_dict: dict, prefix: str = '') -> None:
    """Give the similarity of a checkpoint of an earlier version its present name, in place."""
    old = prefix + OLD_SIMILARITY
    for key in [key for key in state_dict if key.startswith(old)]:
        state_dict[f'{prefix}similarity.{key.removeprefix(old)}'] = state_dict.pop(key)


def _build_preprocessor(
    config: Mapping[str, Any] | None, backbone: TextVideoBackbone
) -> BaseDataPreprocessor:
    """Built here, because `BaseModel` would look in mmengine's registry alone."""
    config = config or dict(type=backbone.preprocessor)
    if issubclass(MODELS.get(config['type']), RetrievalDataPreprocessor):
        config = RetrievalDataPreprocessor.follow(config, backbone.passport)
    return MODELS.build(config)


def fill_width(config: Mapping[str, Any], width: int) -> dict[str, Any]:
    """Copy a config with `width` in place of every `width=None`, in nested configs too.

    Args:
        config: config of a module.
        width: width of the backbone's features. It also takes the place of every value
            'embed_dim', such as that of `hidden_width`.

    Raises:
        ValueError: if the config has another width.
    """
    filled: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            filled[key] = fill_width(value, width)
        elif value == EMBED_DIM or (key == 'width' and value is None):
            filled[key] = width
        else:
            filled[key] = value
    if filled.get('width', width) != width:
        raise ValueError(
            f'{filled.get("type")} has width={filled["width"]}, but the features of the backbone '
            f'have a width of {width}. Leave it out, or set it to None: it follows the backbone.'
        )
    return filled
