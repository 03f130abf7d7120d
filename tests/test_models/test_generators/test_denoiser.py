import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.generators import QueryCandidates, UnrolledDenoiser


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    module = MODELS.build(dict(type='QueryCandidateDenoiser', width=16))
    for parameter in module.parameters():  # away from the small initial values
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def draw(queries=1, n=3, candidates=5):
    context = QueryCandidates(torch.randn(n, queries, 16), torch.randn(n, candidates, 16))
    return context, torch.randn(n, candidates)


def plain(module, x, t, context):
    """The equations of the class docstring, term by term."""
    time, candidates = module.embed_time(t)[:, None], context.candidates
    q = module.q_proj(context.query + time)
    k = module.k_proj(candidates + time)
    v = module.v_proj(candidates + time)
    attention = ((q * k).sum(-1) + x).softmax(-1)
    o = module.out_proj((attention[..., None] * v).sum(1))
    both = torch.cat([o[:, None].expand_as(candidates), candidates], dim=-1)
    return module.decoder(both).squeeze(-1) + attention


@pytest.mark.parametrize('queries', [1, 5])
@pytest.mark.parametrize('steps', [1, 3])
def test_equals_its_equations(denoiser, queries, steps):
    context, x = draw(queries)
    t = torch.tensor([7]) if steps == 1 else torch.tensor([0, 7, 49])
    expected = plain(denoiser, x, t.expand(3), context)
    torch.testing.assert_close(denoiser(x, t, context), expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_equations(denoiser):
    context, x = draw()
    t = torch.tensor([0, 7, 49])
    grads = []
    for out in (denoiser(x, t, context), plain(denoiser, x, t, context)):
        denoiser.zero_grad()
        out.square().sum().backward()
        grads.append([parameter.grad.clone() for parameter in denoiser.parameters()])
    for ours, expected in zip(*grads, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_candidates_may_come_in_any_order(denoiser):
    context, x = draw(candidates=6)
    order = torch.randperm(6)
    t = torch.tensor([3, 4, 5])
    out = denoiser(x, t, context)
    permuted = QueryCandidates(context.query, context.candidates[:, order])
    torch.testing.assert_close(
        denoiser(x[:, order], t, permuted), out[:, order], rtol=1e-5, atol=1e-5
    )


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r'must be \[n, 1 or K, D\]'):
        QueryCandidates(torch.randn(3, 2, 16), torch.randn(3, 5, 16))
    with pytest.raises(ValueError, match='even width'):
        MODELS.build(dict(type='QueryCandidateDenoiser', width=15))


class TestUnrolled:
    steps = torch.tensor([49, 20, 0])

    @pytest.mark.parametrize('queries', [1, 5])
    @pytest.mark.parametrize('shared', [False, True])
    def test_equals_the_denoiser_at_each_step(self, denoiser, queries, shared):
        context, x = draw(queries)
        unrolled = UnrolledDenoiser(denoiser, self.steps)
        projected = unrolled.project(context.candidates, for_many_queries=shared)
        rows = unrolled.start(context.query, projected)
        for step, t in enumerate(self.steps):
            expected = denoiser(x, t[None], context)
            out = unrolled.predict(x, step, rows)
            torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)

    def test_candidates_of_many_queries_are_projected_once(self, denoiser):
        gallery, query = torch.randn(9, 16), torch.randn(3, 5, 16)
        chosen = torch.randint(0, 9, (3, 5))
        unrolled = UnrolledDenoiser(denoiser, self.steps)
        rows = unrolled.start(query, unrolled.project(gallery, for_many_queries=True)[chosen])
        x = torch.randn(3, 5)
        expected = denoiser(x, self.steps[1:2], QueryCandidates(query, gallery[chosen]))
        torch.testing.assert_close(unrolled.predict(x, 1, rows), expected, rtol=1e-4, atol=1e-5)

    def test_no_projection_of_candidates_is_left_in_a_step(self, denoiser, monkeypatch):
        context, x = draw()
        unrolled = UnrolledDenoiser(denoiser, self.steps)
        rows = unrolled.start(context.query, unrolled.project(context.candidates))

        def refuse(*args):
            raise AssertionError('a projection inside a step')

        monkeypatch.setattr(torch.nn.functional, 'linear', refuse)
        unrolled.predict(x, 0, rows)
