import numpy as np
import pytest
import torch

from diffusionret_mm.evaluation import query_ranks
from diffusionret_mm.visualization import draw_recall, draw_similarity


@pytest.mark.parametrize('num_videos', [2, 600])
def test_right_and_best_wrong_scores_are_counted(num_videos):
    own = np.arange(2 * num_videos) // 2
    scores = np.where(np.arange(num_videos) == own[:, None], 0.9, 0.1)
    kept = scores.copy()
    figure = draw_similarity(scores, own)
    np.testing.assert_array_equal(scores, kept)
    matrix, pairs, _ = figure.axes
    assert matrix.get_xlim() == (0.5, num_videos + 0.5)
    wrong = [(bar.get_x(), bar.get_height()) for bar in pairs.patches[:-1] if bar.get_height()]
    assert wrong == [(pytest.approx(0.1), pytest.approx(100))]
    right = pairs.patches[-1].get_xy()
    assert right[:, 1].max() == pytest.approx(100)
    assert right[right[:, 1].argmax(), 0] > 0.8


@pytest.mark.parametrize(
    ('shape', 'texts'), [((4, 4), 3), ((4,), 4), ((3, 1), 3)], ids=['texts', 'vector', 'one video']
)
def test_a_matrix_that_does_not_fit(shape, texts):
    with pytest.raises(ValueError, match='with two videos or more'):
        draw_similarity(np.zeros(shape), np.zeros(texts, dtype=int))


def test_curves_are_the_recalls():
    scores = torch.eye(6)
    scores[0, 1] = 2.0
    ranks = query_ranks(scores, torch.arange(6))
    left, right = draw_recall({('', 't2v'): ranks}, num_candidates=6).axes
    (line,) = left.lines
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
    assert line.get_ydata() == pytest.approx([ranks.recall(k) for k in range(1, 7)])
    assert not right.lines
    with pytest.raises(ValueError, match='no ranks'):
        draw_recall({}, 6)
