"""Loaders that leave out what was trained on; draws that depend on the iteration alone."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader

from diffusionret_mm.engine.train_loop import seed_all, without_first


@pytest.mark.parametrize('workers', [0, 2])
def test_a_loader_goes_on_behind_its_first_batches(workers):
    loader = DataLoader(
        range(10), batch_size=3, num_workers=workers, persistent_workers=workers > 0
    )
    whole = [batch.tolist() for batch in loader]
    with without_first(loader, 2):
        assert [batch.tolist() for batch in loader] == whole[2:]
        assert len(loader) == 4
    assert [batch.tolist() for batch in loader] == whole
    with without_first(loader, 4):
        assert not list(loader)


def test_batches_made_in_another_way():
    class Own(BatchSampler):
        pass

    loader = DataLoader(range(10), batch_sampler=Own(range(10), 3, drop_last=False))
    with without_first(loader, 0):
        assert len(list(loader)) == 4
    with pytest.raises(TypeError, match='made by Own can be resumed only at the end of an epoch'):
        without_first(loader, 1).__enter__()


def test_draws_depend_on_the_numbers():
    def draw(*numbers):
        seed_all(*numbers)
        return torch.rand(1).item(), np.random.rand(), random.random()

    assert draw(0, 5) == draw(0, 5)
    assert len({draw(*pair) for pair in ((0, 5), (5, 0), (0, 6), (1, 5))}) == 4
