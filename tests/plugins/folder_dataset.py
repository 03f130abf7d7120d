"""A data set of one file: clips of a folder, each with a text file of the same name."""

from pathlib import Path

from mmaction.registry import DATASETS

from diffusionret_mm.datasets import TextVideoDataset


@DATASETS.register_module()
class FolderDataset(TextVideoDataset):
    """Captions are the lines of NAME.txt, beside NAME.mp4."""

    def read_entries(self):
        return [
            dict(video_id=file.stem, video=file.with_suffix('.mp4').name, captions=lines)
            for file in sorted(Path(self.data_root).glob('*.txt'))
            if (lines := file.read_text().splitlines())
        ]
