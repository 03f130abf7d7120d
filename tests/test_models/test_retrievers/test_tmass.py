"""T-MASS: the recorded numbers of the published modules, and a training step."""

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.retrievers.tmass import support_texts
from diffusionret_mm.models.similarity.xpool import pair_cosines
from diffusionret_mm.structures import TextFeatures, VideoFeatures

PUBLISHED = {
    'pool_frames': {
        f'{published}.{kind}': f'{own}.{kind}'
        for kind in ('weight', 'bias')
        for published, own in {
            **{f'cross_attn.{part}_proj': f'{part}_proj' for part in ('q', 'k', 'v', 'out')},
            **{f'layer_norm{number}': f'norm{number}' for number in (1, 2, 3)},
            'linear_proj': 'linear',
        }.items()
    },
    'stochastic': {
        f'std_branch.linear_proj.{kind}': f'radius_linear.{kind}' for kind in ('weight', 'bias')
    },
}


def fill(model):
    """The weights of the recorded case (b): a sine of the place in the published state dict."""
    own = dict(model.named_parameters())
    for names in PUBLISHED.values():
        for rank, name in enumerate(sorted(names)):
            parameter = own[names[name]]
            base = float(name.startswith('layer_norm') and name.endswith('weight'))
            place = np.arange(parameter.numel())
            values = base + 0.05 * np.sin(0.37 * place + 0.11 * rank)
            parameter.data = torch.from_numpy(values.astype(np.float32)).view_as(parameter)


@pytest.fixture
def recorded_features():
    i, n, d = (
        torch.arange(1, size + 1, dtype=torch.float64).view(shape)
        for size, shape in ((3, (3, 1, 1)), (12, (1, 12, 1)), (512, (1, 1, 512)))
    )
    pooled = (0.1 * i * d).sin().squeeze(1).float()
    real = torch.ones(3, 1, dtype=torch.bool)
    return (
        TextFeatures(words=pooled[:, None], mask=real, pooled=pooled),
        VideoFeatures(frames=(0.05 * i * n * d).cos().float(), mask=real.expand(3, 12)),
    )


@torch.no_grad()
def quantities(model, texts, videos):
    text = texts.pooled
    pooled = model.pool(model.prepare_texts(texts).queries, model.prepare_videos(videos))
    radius = model.radius(text[:, None], videos.frames, videos.mask).squeeze(1)
    own = torch.arange(3)
    scores = pair_cosines(text + 0.5 * radius, pooled)
    support = pair_cosines(support_texts(text, radius, pooled, own), pooled)
    loss_head = MODELS.build(dict(type='ContrastiveLoss'))
    scale = torch.tensor(2.6592).exp()
    losses = [
        float(sum(loss_head(matrix, scale, own, own).values())) for matrix in (scores, support)
    ]
    return pooled, radius.log(), scores, support, losses


def near(values, expected, tolerance=2e-6):
    expected = torch.tensor(expected)
    torch.testing.assert_close(values[: len(expected)], expected, atol=tolerance, rtol=1e-6)


def test_recorded_values_at_the_start(recorded_features):
    model = MODELS.build(dict(type='StochasticXPool')).eval()
    pooled, log_radius, scores, support, losses = quantities(model, *recorded_features)
    near(pooled[0, 0], [4.348052, 3.596162, 2.530958, 1.380722, 0.374077])
    near(pooled[2, 1], [2.389809, -0.918882, -0.664363, 0.595907, 0.033859])
    assert pooled.abs().sum().item() == pytest.approx(2555.0647, abs=1e-3)
    near(
        log_radius[0],
        [0.016341, 0.013527, 0.009271, 0.004203, -0.000904, -0.005299, -0.008407]
        + [-0.009913, -0.009775, -0.008212, -0.005655, -0.002676, 0],
    )
    assert log_radius.abs().sum().item() == pytest.approx(0.221990, abs=2e-6)
    near(
        scores,
        [
            [0.003303, 0.000294, -0.000807],
            [0.011180, 0.002825, -0.000121],
            [0.015626, 0.004011, 0.000478],
        ],
    )
    near(
        support,
        [
            [0.057026, 0.026090, 0.014977],
            [0.039946, 0.056081, 0.015463],
            [0.035484, 0.020494, 0.053241],
        ],
    )
    assert losses == pytest.approx([1.127203, 0.837328], abs=2e-6)
    assert losses[0] + 0.8 * losses[1] == pytest.approx(1.797065, abs=2e-6)


def test_recorded_values_with_other_weights(recorded_features):
    model = MODELS.build(dict(type='StochasticXPool')).eval()
    fill(model)
    pooled, log_radius, scores, support, losses = quantities(model, *recorded_features)
    near(pooled[0, 0], [1.330012, 0.135154, -1.066290, -1.256882, -0.314032])
    near(pooled[2, 1], [1.418258, 0.290616, -0.969771, -1.293820, -0.445276])
    assert pooled.abs().sum().item() == pytest.approx(4155.3047, abs=1e-3)
    near(log_radius[0], [0.000517, 0.014283, 0.035241, 0.047761, 0.046666, 0.046771])
    assert log_radius.abs().sum().item() == pytest.approx(48.740215, abs=1e-5)
    near(scores[0], [0.001969, 0.001770, 0.001770])
    near(support[0], [0.052718, 0.052197, 0.052198])
    assert losses == pytest.approx([1.098643, 1.097551], abs=2e-6)
    assert losses[0] + 0.8 * losses[1] == pytest.approx(1.976684, abs=2e-6)


@pytest.fixture
def model(tiny_model_cfg):
    torch.manual_seed(0)
    cfg = {key: tiny_model_cfg[key] for key in ('backbone', 'temporal')}
    similarity = dict(type='StochasticXPool', width=64, num_frames=3, dropout=0.0)
    return MODELS.build(
        dict(
            cfg,
            type='TMASS',
            similarity=similarity,
            loss=dict(type='ContrastiveLoss'),
            support_weight=0.8,
        )
    )


def test_training_lowers_the_loss(model, batch):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    history = []
    for _ in range(8):
        losses = model(batch(), mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append(sum(losses.values()).item())
    assert set(losses) == {'loss_t2v', 'loss_v2t', 'loss_t2v_support', 'loss_v2t_support'}
    assert history[-1] < 0.8 * history[0]


def test_the_retriever_scores_by_pairs(model, features):
    texts, videos = features(frames=3)
    model.eval()
    scores = model.similarity(texts, videos)
    t2v, v2t = model.rerank(scores, texts, videos)
    assert torch.equal(t2v, scores)
    assert torch.equal(v2t, scores.t())
