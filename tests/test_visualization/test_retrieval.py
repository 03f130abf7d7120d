import pytest
from matplotlib.colors import to_rgba

from diffusionret_mm.visualization import RankedVideo, draw_retrieval, style


def videos(grey_frames, *counts):
    return [
        RankedVideo(f'video{rank}', grey_frames(count), 0.5, 0.6, rank + 1, rank, rank == 2)
        for rank, count in enumerate(counts, start=1)
    ]


def test_rows_say_rank_and_scores_and_the_truth_is_framed(grey_frames, texts_of):
    figure = draw_retrieval('a $1 box and a $2 box', videos(grey_frames, 20, 3))
    texts = texts_of(figure)
    assert 'Query: a $1 box and a $2 box' in texts
    assert 'video1\nfinal score 0.600\nsimilarity 0.500, rank 2' in texts
    assert any(text.startswith('ground truth\nvideo2') for text in texts)
    strips = [axes for axes in figure.axes if axes.images]
    wide, narrow = (axes.images[0].get_array() for axes in strips)
    assert wide.shape == narrow.shape == (16, style.MAX_FRAMES * 22 - 2, 3)
    grey = [(image == 128).all(axis=(0, 2)).sum() for image in (wide, narrow)]
    assert grey == [style.MAX_FRAMES * 20, 3 * 20]  # the other places are white
    edges = [axes.spines['left'].get_edgecolor() for axes in strips]
    assert edges[0][3] == 0
    assert edges[1] == to_rgba(style.TRUTH)


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no candidate of 'a box'"):
        draw_retrieval('a box', [])
