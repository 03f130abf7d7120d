"""Token merging and the Banzhaf interaction against loops over the definitions."""

import itertools
import math

import pytest
import torch

from diffusionret_mm.models.hierarchy import (
    BanzhafNetwork,
    TokenMerging,
    banzhaf_interaction,
    cluster_tokens,
    merge_tokens,
)


def test_two_clouds_are_two_clusters():
    torch.manual_seed(0)
    tokens = 0.1 * torch.randn(3, 8, 4)
    tokens[:, 1::2] += 5
    clusters = cluster_tokens(tokens, torch.ones(3, 8, dtype=torch.bool), 2)
    for row in clusters:
        assert len(set(row[::2].tolist())) == len(set(row[1::2].tolist())) == 1
        assert row[0] != row[1]


def dpc_by_loop(tokens, real, num_clusters):
    """The definition, for an item whose densities have no ties."""
    n, far = len(tokens), torch.cdist(tokens, tokens).max() / math.sqrt(tokens.shape[1]) + 1
    d = [[far.item() if not real[j] else (tokens[i] - tokens[j]).norm().item()
          / math.sqrt(tokens.shape[1]) for j in range(n)] for i in range(n)]  # fmt: skip
    density = [math.exp(-sum(x * x for x in sorted(d[i])[:3]) / 3) * bool(real[i])
               for i in range(n)]  # fmt: skip
    largest = max(map(max, d))
    separation = [min([d[i][j] for j in range(n) if density[j] > density[i]] or [largest])
                  for i in range(n)]  # fmt: skip
    product = [a * b for a, b in zip(density, separation, strict=True)]
    centres = sorted(range(n), key=lambda i: -product[i])[:num_clusters]
    return [
        centres.index(i) if i in centres
        else min(range(num_clusters), key=lambda c: d[centres[c]][i])
        for i in range(n)
    ]  # fmt: skip


def test_clusters_equal_the_definition():
    torch.manual_seed(1)
    tokens = torch.randn(1, 9, 6, dtype=torch.float64)
    real = torch.arange(9)[None] < 7
    clusters = cluster_tokens(tokens, real, 3)[0]
    expected = torch.tensor(dpc_by_loop(tokens[0], real[0], 3))
    assert torch.equal(clusters[:7], expected[:7])


def test_merging_weighs_and_an_empty_cluster_is_zero():
    tokens = torch.tensor([[[1.0], [3.0], [7.0]]])
    weights = torch.tensor([[1.0, 3.0, 0.0]])
    merged = merge_tokens(tokens, weights, torch.tensor([[0, 0, 1]]), 2)
    torch.testing.assert_close(merged, torch.tensor([[[2.5], [0.0]]]), atol=1e-5, rtol=0)


def test_the_sizes_of_the_published_levels():
    for tokens, sizes in ((24, (6, 3)), (32, (8, 4)), (12, (3, 2)), (1, (1, 1))):
        x = torch.randn(2, tokens, 16)
        for rate, size in zip((0.25, 0.5), sizes, strict=True):
            x = TokenMerging(16, rate)(x, torch.ones(x.shape[:2], dtype=torch.bool))
            assert x.shape == (2, size, 16)


def test_padding_is_never_read():
    torch.manual_seed(0)
    module = TokenMerging(16, 0.25)
    mask = torch.arange(8)[None] < torch.tensor([[8], [5]])
    x = torch.randn(2, 8, 16)
    changed = x.clone()
    changed[1, 6:] = 9.0  # token 5 is in the reach of the convolution of a real one
    torch.manual_seed(0)
    one = module(x, mask)
    torch.manual_seed(0)
    torch.testing.assert_close(module(changed, mask)[1], one[1])
    assert module(torch.randn(1, 8, 16), torch.zeros(1, 8, dtype=torch.bool)).isfinite().all()


def value(cells, word_logits, frame_logits, words, frames):
    if not words or not frames:
        return 0.0
    part = cells[words][:, frames]
    a, b = word_logits[words].softmax(0), frame_logits[frames].softmax(0)
    return ((a * part.amax(1)).sum() + (b * part.amax(0)).sum()).item() / 2


def test_the_interaction_equals_the_definition_over_all_coalitions():
    torch.manual_seed(0)
    t, v = 3, 2
    cells, words, frames = (torch.randn(*s, dtype=torch.float64) for s in ((t, v), (t,), (v,)))
    coalitions = torch.tensor(list(itertools.product([False, True], repeat=t + v)))
    interaction = banzhaf_interaction(
        cells[None], words[None], frames[None], coalitions[None, :, :t], coalitions[None, :, t:]
    )[0]
    for i, j in itertools.product(range(t), range(v)):
        total, count = 0.0, 0
        others = [k for k in range(t + v) if k not in (i, t + j)]
        for size in range(len(others) + 1):
            for chosen in itertools.combinations(others, size):
                for sign, extra in ((1, (i, t + j)), (-1, (i,)), (-1, (t + j,)), (1, ())):
                    members = sorted({*chosen, *extra})
                    own_words = [k for k in members if k < t]
                    own_frames = [k - t for k in members if k >= t]
                    total += sign * value(cells, words, frames, own_words, own_frames)
                count += 1
        assert interaction[i, j].item() == pytest.approx(1000 * total / count)


def test_the_network_takes_maps_of_any_size_and_is_not_trained_at_first():
    network = BanzhafNetwork()
    assert network(torch.randn(2, 24, 12)).shape == (2, 24, 12)
    assert network(torch.randn(2, 3, 2)).shape == (2, 3, 2)
    assert not network.is_trained
    assert sum(p.numel() for p in network.parameters()) == 13_633 - 2 * 64  # without a dead norm


def test_errors():
    with pytest.raises(ValueError, match=r'rate is the share .* in \(0, 1\]; got 0'):
        TokenMerging(16, 0)
    with pytest.raises(ValueError, match='4 tokens cannot make 5 clusters'):
        cluster_tokens(torch.randn(1, 4, 2), torch.ones(1, 4, dtype=torch.bool), 5)
