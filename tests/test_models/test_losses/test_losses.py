import math

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.models.losses import KLContrastiveLoss


def contrastive(**kwargs):
    return MODELS.build(dict(type='ContrastiveLoss', **kwargs))


def test_one_caption_a_video_is_symmetric_info_nce():
    scores = torch.randn(5, 5)
    rows = torch.arange(5)
    losses = contrastive()(scores, torch.tensor(10.0), rows, rows)
    expected = (F.cross_entropy(10 * scores, rows) + F.cross_entropy(10 * scores.t(), rows)) / 2
    torch.testing.assert_close(losses['loss_t2v'] + losses['loss_v2t'], expected)


def test_constant_scores_cost_the_log_of_the_number_of_candidates():
    rows = torch.arange(4)
    losses = contrastive()(torch.zeros(4, 4), 1.0, rows, rows)
    assert sum(losses.values()).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize(('rule', 'changes'), [('ignored', False), ('negative', True)])
def test_another_row_of_the_same_video(rule, changes):
    """Rows 0 and 2 are one video: do their mutual scores count?"""
    scores = torch.randn(3, 3)
    other = scores.clone()
    other[0, 2] += 5
    other[2, 0] += 5
    args = (1.0, torch.arange(3), torch.tensor([7, 8, 7]))
    loss = contrastive(same_video=rule)
    before, after = (sum(loss(s, *args).values()) for s in (scores, other))
    assert (not torch.allclose(before, after)) == changes


def test_several_captions_a_video_are_no_negatives_of_each_other():
    video_of_text = torch.tensor([0, 0, 1])
    scores = torch.tensor([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    losses = contrastive()(scores, 100.0, video_of_text, torch.arange(2))
    assert sum(losses.values()).item() == pytest.approx(0.0, abs=1e-6)


def test_contrastive_errors():
    with pytest.raises(ValueError, match='do not belong to 3 texts and 2 videos'):
        contrastive()(torch.zeros(2, 2), 1.0, torch.zeros(3).long(), torch.arange(2))
    with pytest.raises(ValueError, match='same_video must be one of'):
        contrastive(same_video='positive')


def test_generation_loss_with_one_positive_is_cross_entropy():
    prediction = torch.randn(6, 4)
    loss = MODELS.build(dict(type='GenerationKLLoss', scale=100.0))
    expected = F.cross_entropy(100 * prediction, torch.zeros(6).long())
    torch.testing.assert_close(loss(prediction), expected)
    torch.testing.assert_close(MODELS.build(dict(type='GenerationKLLoss'))(prediction), expected)


def test_generation_loss_is_zero_at_its_target():
    target = torch.tensor([[0.5, 0.3, 0.2]])
    loss = MODELS.build(dict(type='GenerationKLLoss', scale=2.0))
    assert loss(target.log() / 2, target).item() == pytest.approx(0.0, abs=1e-6)
    assert loss(torch.zeros(1, 3), target).item() > 0.01


def test_both_halves_work_together_and_alone():
    loss = MODELS.build(dict(type='KLContrastiveLoss', generation=dict(type='GenerationKLLoss')))
    scores, rows, prediction = torch.randn(3, 3), torch.arange(3), torch.randn(3, 2)
    halves = loss.discrimination_loss(scores, torch.tensor(1.0), rows, rows)
    torch.testing.assert_close(
        halves['loss_t2v'], contrastive()(scores, 1.0, rows, rows)['loss_t2v']
    )
    both = loss.generation_loss(prediction, prediction)
    torch.testing.assert_close(both['loss_generation_t2v'], loss.generation(prediction))


def test_right_candidates_share_the_ideal_distribution():
    losses = KLContrastiveLoss(generation=dict(type='GenerationKLLoss', scale=1.0))
    logits = torch.randn(2, 4)
    positive = torch.tensor([[True, True, False, False], [False, False, False, True]])
    found = losses.generation_loss(logits, logits, dict(t2v=positive, v2t=positive))
    log_p = logits.log_softmax(dim=1)
    # KL from a target of two halves: its own entropy, log 2, is no loss.
    wanted = -(log_p[0, :2].mean() + math.log(2) + log_p[1, 3]) / 2
    torch.testing.assert_close(found['loss_generation_t2v'], wanted)
    torch.testing.assert_close(found['loss_generation_v2t'], wanted)


def test_one_probability_per_candidate():
    loss = MODELS.build(dict(type='CandidateBCELoss'))
    logits = torch.randn(3, 5)
    target = torch.zeros(3, 5)
    target[:, 0] = 1
    p = logits.sigmoid()
    wanted = -(p[:, 0].log() + (1 - p[:, 1:]).log().sum(dim=1)).mean() / 2
    torch.testing.assert_close(loss(logits), wanted)
    torch.testing.assert_close(loss(logits, target), wanted)
    target[:, 1], target[:, 0] = 0.5, 0.5
    wanted = -(p[:, :2].log().sum(dim=1) + (1 - p[:, 2:]).log().sum(dim=1)).mean() / 2
    torch.testing.assert_close(loss(logits, target), wanted)
