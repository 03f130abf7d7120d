"""The released TextDiff: recorded numbers of its denoiser and its sampler."""

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from parity.word_denoiser import (
    Posterior,
    sample_words,
    sine_table,
    sqrt_betas,
)

PARTS = {
    'time_embed': 'time_embed',
    'input_up_proj': 'up',
    'output_down_proj': 'down',
    'sims_decoder': 'join',
}
LAYER = {
    'attention.output.dense': 'self_attn.out_proj',
    'attention.output.LayerNorm': 'norm1',
    'intermediate.dense': 'linear1',
    'output.dense': 'linear2',
    'output.LayerNorm': 'norm2',
}


def published_parts():
    """Our tensor and the published ones that it is made of."""
    parts = {'positions.weight': ['position_embeddings.weight']}
    for kind in ('weight', 'bias'):
        parts[f'norm.{kind}'] = [f'LayerNorm.{kind}']
        parts[f'distances.{kind}'] = [f'sims_linear.{kind}']
        for name, own in PARTS.items():
            for place in (0, 2):
                parts[f'{own}.{place}.{kind}'] = [f'{name}.{place}.{kind}']
        for layer in range(12):
            published, own = f'input_transformers.layer.{layer}', f'encoder.layers.{layer}'
            parts[f'{own}.self_attn.in_proj_{kind}'] = [
                f'{published}.attention.self.{part}.{kind}' for part in ('query', 'key', 'value')
            ]
            for name, ours in LAYER.items():
                parts[f'{own}.{ours}.{kind}'] = [f'{published}.{name}.{kind}']
    return parts


def filled(name, rank, shape):
    place = np.arange(int(np.prod(shape)))
    wave = 43758.5453 * np.sin(12.9898 * place + 78.233 * rank)
    amplitude = 1.0 if 'embedding' in name else 0.05
    values = float(name.endswith('LayerNorm.weight')) + amplitude * (2 * (wave % 1) - 1)
    return torch.from_numpy(values.astype(np.float32)).view(shape)


@pytest.fixture(scope='module')
def denoiser():
    model = MODELS.build(dict(type='WordDenoiser')).eval()
    parts = published_parts()
    # Two tensors that take no part in the prediction count in the order of the names.
    names = sorted([*sum(parts.values(), []), 'word_embedding.weight', 'lm_head.bias'])
    assert len(names) == 215
    for own, parameter in model.named_parameters():
        sources = parts.pop(own)
        shape = (len(parameter) // len(sources), *parameter.shape[1:])
        parameter.data = torch.cat([filled(name, names.index(name), shape) for name in sources])
    assert not parts
    return model


@pytest.fixture(scope='module')
def inputs():
    b, position, c, n = (
        torch.arange(1, size + 1, dtype=torch.float64).view(shape)
        for size, shape in ((2, (2, 1, 1)), (64, (1, 64, 1)), (16, (1, 1, 16)), (12, (1, 1, 12)))
    )
    words = (0.3 * b + 0.2 * position * c).sin().float()
    return words, (0.3 * (0.1 * b * position * n).cos()).float()


def near(values, expected, tolerance=2e-6):
    torch.testing.assert_close(values, torch.tensor(expected), atol=tolerance, rtol=0)


@torch.no_grad()
def test_recorded_prediction(denoiser, inputs):
    words, cosines = inputs
    predicted = denoiser(words, torch.tensor([0.0, 700.0]), cosines)
    near(predicted[0, 0, :6], [0.378217, 0.238997, -0.909831, -0.271136, 0.406374, 0.486654], 5e-6)
    near(predicted[1, 63, :6], [0.519456, 0.289457, -0.879883, -0.456472, 0.412869, 0.395124], 5e-6)
    assert predicted.abs().sum().item() == pytest.approx(861.4857, abs=1e-3)


def test_recorded_time_embedding():
    table = sine_table(torch.tensor([700]))[0, [0, 1, 63, 64, 65, 127]]
    near(table, [-0.839104, -0.988410, 0.996735, 0.543971, 0.151805, 0.080747])


def test_recorded_sample(denoiser, inputs):
    table = (0.7 * torch.arange(1, 822)[:, None] * torch.arange(1, 17).double()).sin().float()
    zeros = torch.zeros(2, 64, 16)
    words, rows = sample_words(
        lambda x, time: denoiser(x, time, inputs[1]), table, zeros, [zeros] * 10
    )
    assert rows[:, :12].tolist() == [[183] * 10 + [551, 183]] * 2
    torch.testing.assert_close(words, table[rows])


def test_recorded_schedule():
    betas = sqrt_betas(10)
    posterior = Posterior.of(betas)
    near(torch.tensor(betas[[0, 1, 8, 9]]).float(), [0.309481, 0.191540, 0.514163, 0.999])
    near(torch.tensor(np.cumprod(1 - betas)[[0, 4, 9]]).float(), [0.690519, 0.295780, 0.0000518])
    near(torch.tensor(posterior.clean[[0, 1, 9]]).float(), [1, 0.360312, 0.227340])
    near(torch.tensor(posterior.noisy[[0, 1, 9]]).float(), [0, 0.629931, 0.029987])
    near(torch.tensor(posterior.variance[[0, 1, 9]]).float(), [0.134191, 0.191540, 0.999])
