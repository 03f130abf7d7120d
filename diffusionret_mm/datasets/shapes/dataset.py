"""The data set "shapes" as a data set of mmaction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS
from mmengine.dist import barrier, is_main_process

from diffusionret_mm.datasets.annotation_files import read_list
from diffusionret_mm.datasets.shapes.build import DEFAULT_NUM_SCENES, read_clips, render_shapes
from diffusionret_mm.datasets.shapes.clips import relations_of
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.evaluation.confusions import Relation

CAPTIONS = ('full', 'vague', 'both')


@DATASETS.register_module()
class ShapesDataset(TextVideoDataset):
    """Short clips of coloured figures with English captions, rendered when first used.

    Every scene has three clips that belong together: the original, the same played backwards, and
    one with another colour or shape. Finding a clip takes reading colours, shapes, directions and
    order in time. See `render_shapes` for the files.

    Args:
        data_root: folder of the data set. It is rendered there if it is absent.
        split: `'train'`, `'val'` or `'test'`; a shifted set has `'test'` only.
        captions: `'full'`, each of which fits one video; `'vague'`, without colours or without
            shapes, with all videos that each fits under `answers`; or, for training, `'both'`.
        shift: which shifted test set this is, one of `SHIFTS`; None for the data set itself.
        render_seed: seed with which the data set is rendered; `seed` is that of reading it.
        num_scenes: number of scenes per split; see `render_shapes` for the default.
        **kwargs: further arguments of `TextVideoDataset`.

    Raises:
        ValueError: if the split or an option does not exist, or the folder holds the data set with
            other settings.
        OSError: if the folder cannot be written, or holds something else.
    """

    unrelated = 'another scene'

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        captions: str = 'full',
        shift: str | None = None,
        render_seed: int = 0,
        num_scenes: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        splits = tuple(DEFAULT_NUM_SCENES) if shift is None else ('test',)
        if split not in splits:
            raise ValueError(f'split must be one of {splits}; got {split!r}.')
        if captions not in CAPTIONS:
            raise ValueError(f'captions must be one of {CAPTIONS}; got {captions!r}.')
        _render_once(data_root, seed=render_seed, num_scenes=num_scenes, shift=shift)
        self.split = split
        self.captions = captions
        file = f'{split}_vague.json' if captions == 'vague' else f'{split}.json'
        super().__init__(data_root=data_root, ann_file=file, **kwargs)

    def read_entries(self) -> list[dict[str, Any]]:
        """Read the annotation; see `TextVideoDataset.read_entries`."""
        entries = super().read_entries()
        if self.captions != 'both':
            return entries
        file = Path(self.ann_file)
        vague = read_list(file.with_stem(f'{file.stem}_vague'))
        return [
            dict(entry, captions=[*entry['captions'], *other['captions']])
            for entry, other in zip(entries, vague, strict=True)
        ]

    def relatives(self) -> Mapping[str, Mapping[str, Relation]]:
        """Return what the twins of a scene differ in; see `TextVideoDataset.relatives`."""
        return relations_of(read_clips(self.data_root)[self.split])


def _render_once(data_root: str, **settings: Any) -> None:
    """Render on the main process, then on those that do not share its disk."""
    try:
        if is_main_process():
            render_shapes(data_root, **settings)
    finally:
        # Also after an error: the others would wait for ever.
        barrier()
    if not is_main_process():
        render_shapes(data_root, **settings)
