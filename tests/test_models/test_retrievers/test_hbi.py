"""HBI: evaluation equals WTI, losses equal their formulas, and the estimator must be trained."""

import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.hierarchy import BanzhafNetwork
from diffusionret_mm.models.losses.interaction import (
    interaction_loss,
    mean_kl,
    self_distillation_loss,
)
from diffusionret_mm.models.retrievers.hbi import word_frame_maps
from diffusionret_mm.storage.checkpoints import save_checkpoint_file


@pytest.fixture
def hbi_cfg(tiny_model_cfg, tmp_path):
    torch.manual_seed(1)
    network = BanzhafNetwork()
    network.is_trained.fill_(True)
    save_checkpoint_file(network.state_dict(), tmp_path / 'estimator.pth')
    parts = {key: tiny_model_cfg[key] for key in ('backbone', 'temporal', 'similarity')}
    # The tiny text tower has two blocks and 16 positions, the tiny temporal module 77.
    parts['temporal'] = dict(parts['temporal'], init_from_text=False)
    loss = dict(type='ContrastiveLoss')
    return dict(type='HBI', estimator=str(tmp_path / 'estimator.pth'), loss=loss, **parts)


@pytest.fixture
def hbi(hbi_cfg):
    torch.manual_seed(0)
    model = MODELS.build(hbi_cfg)
    model.init_weights()
    return model


def test_evaluation_equals_wti(hbi, features):
    texts, videos = features()
    wti = MODELS.build(dict(type='WeightedTokenInteraction', width=64))
    wti.load_state_dict(hbi.similarity.state_dict())
    assert torch.equal(hbi.eval().similarity(texts, videos), wti(texts, videos))
    scores = torch.rand(7, 5)
    t2v, v2t = hbi.rerank(scores, texts, videos)
    assert torch.equal(t2v, scores)
    assert torch.equal(v2t, scores.t())


def test_a_step_trains_all_but_the_estimator(hbi, batch):
    inputs = batch()
    losses = hbi(inputs, mode='loss')
    names = {f'loss_{kind}_{level}' for level in ('entity', 'action', 'event')
             for kind in ('t2v', 'v2t', 'interaction')}  # fmt: skip
    assert set(losses) == names | {'loss_distillation_action', 'loss_distillation_event'}
    sum(losses.values()).backward()
    trained = {name.split('.')[0] for name, p in hbi.named_parameters() if p.grad is not None}
    missing = {name for name, p in hbi.named_parameters() if p.grad is None}
    assert trained == {'backbone', 'temporal', 'similarity', 'merge_words', 'merge_frames',
                       'coarse_heads', 'students'}  # fmt: skip
    assert {name.split('.')[0] for name in missing} == {'estimator'}


def test_the_losses_of_the_finest_level_equal_their_formulas(hbi, features):
    texts, videos = features(num_texts=5)
    rows = torch.arange(5)
    losses = hbi(dict(texts=texts, videos=videos, video_of_text=rows, video_index=rows),
                 mode='loss')  # fmt: skip
    scores = hbi.similarity(texts, videos)
    expected = hbi.loss_head(scores, hbi.backbone.logit_scale, rows, rows)['loss_t2v']
    torch.testing.assert_close(losses['loss_t2v_entity'], expected)
    maps, real = word_frame_maps(texts, videos)
    for i in range(5):
        for word in range(6):
            for frame in range(4):
                cosine = torch.cosine_similarity(
                    texts.words[i, word], videos.frames[i, frame], dim=0
                )
                is_real = texts.mask[i, word] and videos.mask[i, frame]
                assert real[i, word, frame] == is_real
                assert maps[i, word, frame] == pytest.approx((cosine * is_real).item(), abs=1e-5)
    student, teacher = hbi.students[0](maps) * real, hbi.estimator(maps) * real
    torch.testing.assert_close(
        losses['loss_interaction_entity'], interaction_loss(student, teacher)
    )


def kl_by_loop(student, teacher):
    total, count = 0.0, 0
    for own, target in zip(student.reshape(-1, student.shape[-1]),
                           teacher.reshape(-1, teacher.shape[-1]), strict=True):  # fmt: skip
        p, q = target.softmax(0), own.softmax(0)
        total += sum((p[k] * (p[k] / q[k]).log()).item() for k in range(len(p)))
        count += len(p)
    return total / count


def test_the_distances_equal_loops():
    torch.manual_seed(0)
    a, b = torch.randn(2, 3, 4, 2, dtype=torch.float64)
    assert mean_kl(a, b).item() == pytest.approx(kl_by_loop(a, b))
    both = kl_by_loop(a, b) + kl_by_loop(a.transpose(1, 2), b.transpose(1, 2))
    assert interaction_loss(a, b).item() == pytest.approx(both)
    a, b = torch.randn(2, 4, 3, dtype=torch.float64)
    both = kl_by_loop(a, b) + kl_by_loop(a.t(), b.t())
    assert self_distillation_loss(a, b).item() == pytest.approx(both)


@pytest.mark.parametrize('path', [None, 'nowhere.pth'])
def test_a_missing_estimator_is_an_error(hbi_cfg, path):
    model = MODELS.build(dict(hbi_cfg, estimator=path))
    with pytest.raises(FileNotFoundError, match=f'model.estimator={path!r} is no file. Train one'):
        model.init_weights()


def test_an_estimator_that_nobody_trained_is_an_error(hbi_cfg, batch):
    with pytest.raises(RuntimeError, match='has random weights: call init_weights'):
        MODELS.build(hbi_cfg)(batch(), mode='loss')


def test_a_checkpoint_holds_the_estimator(hbi, hbi_cfg, batch):
    other = MODELS.build(dict(hbi_cfg, estimator=None))
    other.load_state_dict(hbi.state_dict())
    assert other.estimator.is_trained
    other(batch(), mode='loss')
