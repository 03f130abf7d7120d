import pytest
import torch

from diffusionret_mm.models.retrievers.hard_negatives import hardest_first


def test_positive_first_then_by_falling_score():
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.8, 0.2, 0.3, 0.4]])
    positive = torch.tensor([0, 1])
    same = torch.zeros(2, 4, dtype=torch.bool).scatter(1, positive[:, None], True)
    assert hardest_first(scores, positive, same, 2).tolist() == [[0, 1, 3], [1, 0, 3]]


def test_the_own_video_is_never_a_negative():
    """Columns 0 and 2 are one video: with all negatives asked for, one is missing everywhere."""
    video = torch.tensor([5, 6, 5])
    same = video[:, None] == video
    columns = hardest_first(torch.rand(3, 3), torch.arange(3), same, 2)
    assert columns.tolist() == [[0, 1], [1, columns[1, 1]], [2, 1]]


def test_a_batch_of_one_video():
    with pytest.raises(ValueError, match='one video only'):
        hardest_first(torch.rand(2, 2), torch.arange(2), torch.ones(2, 2, dtype=torch.bool), 1)


def test_published_rule_takes_the_own_video_last():
    video = torch.tensor([5, 6, 5, 7])
    same = video[:, None] == video
    columns = hardest_first(torch.rand(4, 4), torch.arange(4), same, 9, rule='negative')
    assert columns.shape == (4, 4)
    assert set(columns[0, 1:3].tolist()) == {1, 3}
    assert columns[0, 3] in (0, 2)
    assert set(columns[1, 1:].tolist()) == {0, 2, 3}
