import numpy as np
import pytest
from matplotlib.colors import to_rgba

from diffusionret_mm.visualization import DiffusionProcess, draw_diffusion, style, to_image


def process(steps=10, candidates=4, truth=1, **changes):
    states = np.random.default_rng(0).normal(size=(steps + 1, candidates))
    is_truth = np.arange(candidates) == truth
    options = dict(times=range(steps, -1, -1), rank_before=2, rank_after=1)
    return DiffusionProcess('a red box', states, is_truth=is_truth, **(options | changes))


def test_bars_are_the_states_and_the_truth_is_green(texts_of):
    shown = process()
    figure = draw_diffusion([shown])
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == [f'$x_{{{t}}}$' for t in (10, 8, 6, 4, 2, 0)]
    for axes, state in zip((panels[0], panels[-1]), (0, 10), strict=True):
        bars = axes.patches
        assert [bar.get_height() for bar in bars] == shown.states[state].tolist()
        green = [bar.get_facecolor() == to_rgba(style.TRUTH) for bar in bars]
        assert green == [False, True, False, False]
    assert any('rank 2 by similarity, 1 after' in text for text in texts_of(figure))


def test_a_row_a_query_at_the_width_of_a_readme():
    images = [to_image(draw_diffusion([process()] * count)) for count in (1, 3)]
    assert [image.shape[1:] for image in images] == [(800, 3)] * 2
    assert images[1].shape[0] > 2 * images[0].shape[0]
    np.testing.assert_array_equal(images[0], to_image(draw_diffusion([process()])))


def test_a_truth_that_is_no_candidate_is_said(texts_of):
    texts = texts_of(draw_diffusion([process(truth=9, rank_before=40, rank_after=40)]))
    assert any('not among the 4 candidates (rank 40' in text for text in texts)


def test_a_single_candidate_and_two_states_can_be_drawn():
    assert to_image(draw_diffusion([process(steps=1, candidates=1, truth=0)])).shape[1] == 800


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match='There is no query'):
        draw_diffusion([])
    with pytest.raises(ValueError, match=r"'a red box' have shape \[11, 4\].*\[2, 4\]"):
        draw_diffusion([process(times=[1, 0])])
