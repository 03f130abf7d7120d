"""A denoiser with the steps of a sampling run worked in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.models.generators.denoiser import QueryCandidateDenoiser


@dataclass(frozen=True)
class ProjectedCandidates:
    """What a run computes of candidates alone; leading dimensions are free.

    Args:
        features: the candidates, [..., D].
        matched: Wq' Wk c, whose product with a query is an attention logit, [..., D]; None if the
            queries are matched to the candidates instead.
        timed: what the logits get by each of S steps, [..., S].
        values: W1a Wp Wv c, what attention mixes into the decoder's hidden layer, [..., 2D].
        hidden: W1b c, the candidates' own part of the hidden layer, [..., 2D].
    """

    features: Tensor
    matched: Tensor | None
    timed: Tensor
    values: Tensor
    hidden: Tensor

    def __getitem__(self, rows: Tensor) -> ProjectedCandidates:
        """Select candidates by their rows, of any shape."""
        return ProjectedCandidates(
            **{name: None if value is None else value[rows] for name, value in vars(self).items()}
        )

    def mix(self, rows: Tensor, weights: Tensor) -> ProjectedCandidates:
        """Project weighted sums of candidates, without a matrix product: all is linear in them.

        Args:
            rows: rows of these candidates, which are [M, ...], shape [n, K, F], int64.
            weights: their weights, shape [n, K, F].

        Returns:
            The projections of the n x K sums over F.
        """
        bags, weights = rows.flatten(0, 1), weights.flatten(0, 1).to(self.features)

        def mixed(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            sums = F.embedding_bag(bags, values, per_sample_weights=weights, mode='sum')
            return sums.unflatten(0, rows.shape[:2])

        return ProjectedCandidates(**{name: mixed(value) for name, value in vars(self).items()})


@dataclass(frozen=True)
class SamplingRows:
    """n queries with K candidates each, ready for all steps.

    Args:
        logits: attention logits of each step without the noisy scores, [S, n, K].
        values: [n, K, 2D].
        hidden: [n, K, 2D].
        scratch: memory for the hidden layer, [n, K, 2D].
    """

    logits: Tensor
    values: Tensor
    hidden: Tensor
    scratch: Tensor


class UnrolledDenoiser:
    """Computes once what the steps of a sampling run share; exact to rounding.

    The equations of `QueryCandidateDenoiser` are bilinear in query and candidate before the softmax
    and linear in the candidates behind it, and the attention weights sum to 1. So

        Wq (q + e) . Wk (c + e) = q . M c + q . b_t + c . a_t + const_t    with M = Wq' Wk,
        W1a (Wp sum_j a_j Wv (c_j + e) + b_p) = sum_j a_j (W1a Wp Wv) c_j + shared_t,

    where only the sums remain for a step: O(n K D) operations, not O(n K D^2). Candidates that many
    queries share are projected once for all of them.

    Args:
        denoiser: the network; its weights must not change during a run.
        t: the steps of the run in their order, shape [S], int64.
    """

    @torch.no_grad()
    def __init__(self, denoiser: QueryCandidateDenoiser, t: Tensor) -> None:
        dtype = denoiser.q_proj.weight.dtype
        self._made_of = [t.clone(), *(weight.detach().clone() for weight in denoiser.parameters())]
        # In float64: a product of two weights would otherwise round twice.
        q, k, v, out = (
            module.weight.double()
            for module in (denoiser.q_proj, denoiser.k_proj, denoiser.v_proj, denoiser.out_proj)
        )
        time = denoiser.embed_time(t).double()
        of_query, of_candidates = denoiser.decoder[0].weight.double().split(denoiser.width, dim=1)
        fold = of_query @ out @ v
        self.match = (q.t() @ k).to(dtype)  # M
        self.of_query_time = (time @ k.t() @ q).to(dtype)  # b_t, [S, D]
        self.of_candidate_time = (time @ q.t() @ k).to(dtype)  # a_t, [S, D]
        self.constant = ((time @ q.t()) * (time @ k.t())).sum(dim=-1).to(dtype)
        self.fold = fold.to(dtype)
        bias = of_query @ denoiser.out_proj.bias.double() + denoiser.decoder[0].bias
        self.shared = (time @ fold.t() + bias).to(dtype)
        self.of_candidates = of_candidates.to(dtype)
        self.last = denoiser.decoder[2]

    @torch.no_grad()
    def is_of(self, denoiser: QueryCandidateDenoiser, t: Tensor) -> bool:
        """Whether this was made of the present weights of the network and of these steps.

        All weights are compared: 2 ms at width 512, where making this anew takes 56 ms. Their
        version counters would not tell: writing to `weight.data`, as averaging hooks do, leaves
        them as they are.

        Args:
            denoiser: the network that this was made of.
            t: the steps of the run.
        """
        present = [t, *denoiser.parameters()]
        return all(_same(new, old) for new, old in zip(present, self._made_of, strict=True))

    @torch.no_grad()
    def project(self, candidates: Tensor, for_many_queries: bool = False) -> ProjectedCandidates:
        """Project candidates.

        Args:
            candidates: shape [..., D].
            for_many_queries: whether to match them to the queries here, once for all queries that
                share them; else `start` matches the queries to them.

        Returns:
            Their projections, which may be indexed.
        """
        return ProjectedCandidates(
            features=candidates,
            matched=candidates @ self.match.t() if for_many_queries else None,
            timed=candidates @ self.of_candidate_time.t(),
            values=F.linear(candidates, self.fold),
            hidden=F.linear(candidates, self.of_candidates),
        )

    @torch.no_grad()
    def start(self, query: Tensor, candidates: ProjectedCandidates) -> SamplingRows:
        """Make queries and their candidates ready for the steps.

        Args:
            query: one query for all candidates [n, 1, D], or as each candidate sees it [n, K, D].
            candidates: [n, K] candidates.

        Returns:
            What `predict` takes.
        """
        if candidates.matched is None:
            products = (query @ self.match * candidates.features).sum(dim=-1)
        else:
            products = (query * candidates.matched).sum(dim=-1)
        timed = candidates.timed + query @ self.of_query_time.t() + self.constant
        return SamplingRows(
            logits=(timed + products[..., None]).permute(2, 0, 1).contiguous(),
            values=candidates.values,
            hidden=candidates.hidden,
            scratch=torch.empty_like(candidates.hidden),
        )

    @torch.no_grad()
    def predict(self, x: Tensor, step: int, rows: SamplingRows) -> Tensor:
        """Predict x_0.

        Args:
            x: noisy distribution over the candidates, shape [n, K], float.
            step: number of the step in the run, 0 to S - 1.
            rows: what `start` returned; its scratch is written.

        Returns:
            The prediction, shape [n, K], not clipped.
        """
        attention = (rows.logits[step] + x).softmax(dim=-1)
        shared = torch.bmm(attention[:, None], rows.values) + self.shared[step]
        # relu(h + s) = max(h, -s) + s: one pass over the hidden layer, not two.
        hidden = torch.maximum(rows.hidden, -shared, out=rows.scratch)
        decoded = torch.mv(hidden.flatten(0, 1), self.last.weight[0]).view_as(attention)
        decoded += torch.mv(shared[:, 0], self.last.weight[0])[:, None] + self.last.bias
        return decoded + attention


def _same(new: Tensor, old: Tensor) -> bool:
    if (new.device, new.dtype, new.shape) != (old.device, old.dtype, old.shape):
        return False
    return torch.equal(new, old)
