import pytest
import torch
from mmaction.registry import MODELS


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    module = MODELS.build(dict(type='QueryCandidateDenoiser', width=16))
    for parameter in module.parameters():  # away from the small initial values
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def plain(module, x, t, query, candidates):
    """The equations of the class docstring, term by term, nothing computed ahead."""
    time = module.embed_time(t)[:, None]
    q = module.q_proj(query + time)
    k = module.k_proj(candidates + time)
    v = module.v_proj(candidates + time)
    attention = ((q * k).sum(-1) + x).softmax(-1)
    o = module.out_proj((attention[..., None] * v).sum(1))
    both = torch.cat([o[:, None].expand_as(candidates), candidates], dim=-1)
    return module.decoder(both).squeeze(-1) + attention


@pytest.mark.parametrize('queries', [1, 5])
@pytest.mark.parametrize('steps', [1, 3])
def test_computing_ahead_is_exact(denoiser, queries, steps):
    query, candidates, x = torch.randn(3, queries, 16), torch.randn(3, 5, 16), torch.randn(3, 5)
    t = torch.tensor([7]) if steps == 1 else torch.tensor([0, 7, 49])
    out = denoiser(x, t, denoiser.prepare(query, candidates))
    expected = plain(denoiser, x, t.expand(3), query, candidates)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_plain_equations(denoiser):
    query, candidates, x = torch.randn(3, 1, 16), torch.randn(3, 5, 16), torch.randn(3, 5)
    t = torch.tensor([0, 7, 49])
    grads = []
    for out in (
        denoiser(x, t, denoiser.prepare(query, candidates)),
        plain(denoiser, x, t, query, candidates),
    ):
        denoiser.zero_grad()
        out.square().sum().backward()
        grads.append([parameter.grad.clone() for parameter in denoiser.parameters()])
    for ours, expected in zip(*grads, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_candidates_may_come_in_any_order(denoiser):
    query, candidates, x = torch.randn(2, 1, 16), torch.randn(2, 6, 16), torch.randn(2, 6)
    order = torch.randperm(6)
    t = torch.tensor([3, 4])
    out = denoiser(x, t, denoiser.prepare(query, candidates))
    permuted = denoiser(x[:, order], t, denoiser.prepare(query, candidates[:, order]))
    torch.testing.assert_close(permuted, out[:, order], rtol=1e-5, atol=1e-5)


def test_no_candidate_sized_projection_is_left_in_the_loop(denoiser, monkeypatch):
    """A step may project vectors of [n, D], never the candidates [n, K, D]."""
    context = denoiser.prepare(torch.randn(2, 1, 16), torch.randn(2, 5, 16))
    largest = []
    linear = torch.nn.functional.linear

    def recording(value, weight, *args):
        if weight.shape[0] > 1:
            largest.append(value.dim())
        return linear(value, weight, *args)

    monkeypatch.setattr(torch.nn.functional, 'linear', recording)
    denoiser(torch.randn(2, 5), torch.tensor([1]), context)
    assert max(largest) == 2


def test_shapes_that_do_not_fit(denoiser):
    with pytest.raises(ValueError, match=r'must be \[n, 1 or K, 16\]'):
        denoiser.prepare(torch.randn(3, 2, 16), torch.randn(3, 5, 16))
    with pytest.raises(ValueError, match='even width'):
        MODELS.build(dict(type='QueryCandidateDenoiser', width=15))
