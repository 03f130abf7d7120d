"""The data set "shapes" as a data set of mmaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmaction.registry import DATASETS
from mmengine.dist import barrier, is_main_process

from diffusionret_mm.datasets.shapes.build import DEFAULT_NUM_SCENES, render_shapes
from diffusionret_mm.datasets.text_video import TextVideoDataset


@DATASETS.register_module()
class ShapesDataset(TextVideoDataset):
    """Short clips of coloured figures with English captions, rendered when first used.

    Every scene has three clips that belong together: the original, the same played backwards, and
    one with another colour or shape. Finding a clip takes reading colours, shapes, directions and
    order in time. See `render_shapes` for the files.

    Args:
        data_root: folder of the data set. It is rendered there if it is absent.
        split: `'train'`, `'val'` or `'test'`.
        render_seed: seed with which the data set is rendered; `seed` is that of reading it.
        num_scenes: number of scenes per split. Default: 700, 40 and 100.
        **kwargs: further arguments of `TextVideoDataset`.

    Raises:
        ValueError: if the split does not exist, or the folder holds the data set with other
            settings.
        OSError: if the folder cannot be written, or holds something else.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        render_seed: int = 0,
        num_scenes: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        if split not in DEFAULT_NUM_SCENES:
            raise ValueError(f"split must be 'train', 'val' or 'test'; got {split!r}.")
        _render_once(data_root, render_seed, num_scenes or DEFAULT_NUM_SCENES)
        super().__init__(data_root=data_root, ann_file=f'{split}.json', **kwargs)


def _render_once(data_root: str, seed: int, num_scenes: Mapping[str, int]) -> None:
    """Render on the main process, then on those that do not share its disk."""
    try:
        if is_main_process():
            render_shapes(data_root, seed=seed, num_scenes=num_scenes)
    finally:
        # Also after an error: the others would wait for ever.
        barrier()
    if not is_main_process():
        render_shapes(data_root, seed=seed, num_scenes=num_scenes)
