import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from diffusionret_mm.evaluation.confusions import Relation
from diffusionret_mm.features.encoding import EncodedSplit, ScoredSplit
from diffusionret_mm.visualization import SplitPictures

VIDEOS, CAPTIONS, FRAMES = 5, 2, 4


class Videos:
    """A data set of uniform grey videos; the last one has a padded frame."""

    has_frames = True
    unrelated = 'another video'

    def relatives(self):
        return {'video0': {'video1': Relation('twin', 'red / blue'), 'elsewhere': Relation('none')}}

    def __getitem__(self, row):
        mask = torch.ones(FRAMES, dtype=torch.bool)
        mask[-1] = row < VIDEOS - 1
        frames = torch.full((FRAMES, 3, 16, 16), 40 * row, dtype=torch.uint8)
        sample = BaseDataElement(
            metainfo=dict(video_id=f'video{row}', captions=[f'caption {row}.{n}' for n in (0, 1)])
        )
        return dict(inputs=dict(frames=frames, frame_mask=mask), data_samples=sample)


@pytest.fixture
def grey_frames():
    """A function that makes F grey frames, [F, 16, 20, 3]."""
    return lambda count=4: np.full((count, 16, 20, 3), 128, dtype=np.uint8)


@pytest.fixture
def make_pictures(features):
    """A function that makes the pictures of a model on random features of ten texts."""

    def make(model, dataset=None):
        texts, videos = features(VIDEOS * CAPTIONS, VIDEOS, words=6, frames=FRAMES)
        texts.mask[:] = torch.arange(6) < 5  # [start] a box N [end]
        videos.mask[:] = True
        videos.mask[-1, -1] = False
        split = EncodedSplit(
            texts=texts,
            videos=videos,
            video_of_text=torch.arange(VIDEOS).repeat_interleave(CAPTIONS),
            video_ids=[f'video{row}' for row in range(VIDEOS)],
            captions=[f'a box {row}' for row in range(VIDEOS * CAPTIONS)],
        )
        with torch.no_grad():
            scores = model.similarity(texts, videos)
            scored = ScoredSplit(split, scores, *model.rerank(scores, texts, videos))
        return SplitPictures(model, dataset or Videos(), scored)

    return make


@pytest.fixture
def texts_of():
    """A function that returns what is written in a figure, its parts included."""

    def collect(figure):
        from matplotlib.text import Text

        figure.canvas.draw()
        return [text.get_text() for text in figure.findobj(Text) if text.get_text()]

    return collect
