"""DiffusionRet's generators on other first stages: the similarity chooses and is added to."""

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F


@pytest.fixture(params=['CosineSimilarity', 'EMSimilarity'])
def stacked(request, tiny_model_cfg):
    torch.manual_seed(0)
    cfg = dict(tiny_model_cfg, stage='generation', similarity=dict(type=request.param))
    return MODELS.build(cfg)


def test_candidates_and_hard_negatives_are_those_of_its_similarity(stacked, features):
    texts, videos = features(num_texts=5)
    rows = torch.arange(5)
    stacked.eval()
    scores = stacked.similarity(texts, videos)
    chosen = stacked.training_candidates(scores, rows, rows)
    for row in range(5):
        others = sorted(set(range(5)) - {row}, key=lambda c: -scores[row, c])
        assert chosen['t2v'][row].tolist() == [row, *others[:3]]
    t2v, _ = stacked.rerank(scores, texts, videos)
    changed = t2v != scores
    for row in range(5):
        best = scores[row].topk(4).indices
        assert set(changed[row].nonzero()[:, 0].tolist()) == set(best.tolist())
        added = t2v[row, best] - scores[row, best]
        torch.testing.assert_close(added.sum(), torch.tensor(1.0))


def saved_buffers(module):
    """Copies of the buffers that a checkpoint holds."""
    names = module.state_dict()
    return {name: value.clone() for name, value in module.named_buffers() if name in names}


def test_a_step_of_each_stage(stacked, features):
    texts, videos = features(num_texts=5)
    rows = torch.arange(5)
    batch = dict(texts=texts, videos=videos, video_of_text=rows, video_index=rows)
    stacked.train()
    buffers = saved_buffers(stacked.similarity)
    losses = stacked(batch, mode='loss')
    assert set(losses) == {'loss_generation_t2v', 'loss_generation_v2t'}
    for name, value in saved_buffers(stacked.similarity).items():
        assert torch.equal(value, buffers[name])  # the frozen stage keeps EMCL's bases
    stacked.set_stage('discrimination')
    losses = stacked(batch, mode='loss')
    for name, value in saved_buffers(stacked.similarity).items():
        assert not torch.equal(value, buffers[name])  # which its own stage moves
    scores = stacked.similarity.eval()(texts, videos)
    if not buffers:
        expected = F.cross_entropy(scores * stacked.backbone.logit_scale, rows) / 2
        torch.testing.assert_close(losses['loss_t2v'], expected)
    assert sum(losses.values()).isfinite()
