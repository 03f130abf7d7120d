"""MSVD in the files that the field passes around."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS

from diffusionret_mm.datasets.annotation_files import check_exists, read_lines
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.public_dataset import PublicDataset
from diffusionret_mm.datasets.splits import Split
from diffusionret_mm.datasets.video_files import strip_suffixes

# Videos of each split in the lists of Collaborative Experts, which CLIP4Clip uses, too.
COUNTS = dict(train=1200, val=100, test=670)


def _line_ids(path: Path) -> list[str]:
    return [strip_suffixes(line) for line in read_lines(path)]


@DATASETS.register_module()
class MSVDDataset(PublicDataset):
    """MSVD: ids from a list, about 40 captions per video from `raw-captions.pkl`.

    Args:
        data_root: folder that the other paths start from.
        ann_file: `train_list.txt`, `val_list.txt` or `test_list.txt`, one id per line.
        captions: the pickled captions: a dict from ids to lists of sentences or lists of words.
        **kwargs: arguments of `PublicDataset`.
    """

    public_name = 'msvd'
    splits = tuple(
        Split(
            name=name,
            options=dict(ann_file=f'{name}_list.txt'),
            is_test=name == 'test',
            videos=videos,
            list_ids=_line_ids,
        )
        for name, videos in COUNTS.items()
    )

    def __init__(
        self, data_root: str, ann_file: str, captions: str = 'raw-captions.pkl', **kwargs: Any
    ) -> None:
        super().__init__(data_root=data_root, ann_file=ann_file, companion=captions, **kwargs)

    def read_annotation(self) -> list[dict[str, Any]]:
        """Read the list and the captions of its videos."""
        names = read_lines(Path(self.ann_file))
        captions = self._read_captions()
        return [
            dict(video_id=video_id, captions=captions.get(video_id, []))
            for video_id in self.unique(strip_suffixes(name) for name in names)
        ]

    def _read_captions(self) -> dict[str, list[str]]:
        table = read_plain_pickle(self.companion)
        if not isinstance(table, dict):
            raise AnnotationError(
                f'{self.companion} must hold a dict from ids to captions; it holds a '
                f'{type(table).__name__}.'
            )
        captions = {}
        for key, sentences in table.items():
            try:
                captions[strip_suffixes(_text(key))] = [_sentence(words) for words in sentences]
            except (AttributeError, TypeError) as error:
                raise AnnotationError(
                    f'{self.companion}, key {key!r}: the captions must be a list of sentences or '
                    f'of lists of words: {sentences!r:.200}.'
                ) from error
        return captions


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists and texts. A pickle that needs anything else could run any program."""

    def find_class(self, module: str, name: str) -> Any:
        raise AnnotationError(
            f'it refers to {module}.{name}, but captions are dicts, lists and texts alone; such a '
            'file can run any program. Fetch it from a place you trust.'
        )


def read_plain_pickle(path: Path) -> Any:
    """Read a pickle of dicts, lists, tuples, texts and numbers, also one of Python 2.

    Args:
        path: the file. Nothing in it is executed.

    Returns:
        What it holds. The texts of Python 2 are bytes.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not a pickle, or refers to anything else.
    """
    check_exists(path)
    try:
        with path.open('rb') as file:
            return _PlainUnpickler(file, encoding='bytes').load()
    except AnnotationError as error:
        raise AnnotationError(f'{path} is not read: {error}') from None
    except Exception as error:  # broken pickles raise errors of nearly any class
        raise AnnotationError(
            f'{path} is not a pickle: {type(error).__name__}: {error}.'
        ) from error


def _sentence(words: str | bytes | Iterable[str | bytes]) -> str:
    """Return a sentence that may be a text or a list of words."""
    return _text(words) if isinstance(words, str | bytes) else ' '.join(map(_text, words))


def _text(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode('utf-8')
    except UnicodeDecodeError:
        return value.decode('latin-1')
