from mmaction.registry import DATA_SAMPLERS


class Grouped:
    """Twelve items in groups of three."""

    def __init__(self):
        self.told = None

    def __len__(self):
        return 12

    def group_of(self, index):
        return str(index // 3)

    def set_epoch(self, epoch, seed):
        self.told = (epoch, seed)


def build(dataset=None, **kwargs):
    cfg = dict(type='GroupSampler', dataset=dataset or Grouped(), seed=5, **kwargs)
    return DATA_SAMPLERS.build(cfg)


def test_groups_stay_together_and_change_their_order():
    sampler = build()
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        indices = list(sampler)
        assert sorted(indices) == list(range(12))
        groups = [{index // 3 for index in indices[start : start + 3]} for start in (0, 3, 6, 9)]
        assert all(len(group) == 1 for group in groups)
        orders.append(indices)
    assert orders[0] != orders[1] != orders[2]
    sampler.set_epoch(1)
    assert list(sampler) == orders[1]


def test_the_data_set_learns_the_epoch_and_seed():
    dataset = Grouped()
    build(dataset).set_epoch(4)
    assert dataset.told == (4, 5)


def test_processes_share_the_items(monkeypatch):
    shares = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        shares.append(list(build()))
    # Taken in turns, the shares are the order of one process, so global batches are the same.
    taken = [index for pair in zip(*shares, strict=True) for index in pair]
    monkeypatch.undo()
    assert taken == list(build())


def test_without_shuffling():
    assert list(build(shuffle=False)) == list(range(12))
