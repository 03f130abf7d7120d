"""Batches from the cache are those of the training loader, encoded."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from diffusionret_mm.datasets.samplers import GroupSampler
from diffusionret_mm.features import WholeVideos, cached_loader

ITEMS = {
    'one caption a video': dict(captions_per_video=1),
    'three of them, with repetition': dict(captions_per_video=3),
    'all captions': dict(),
    'a caption an item': dict(item='caption', captions_per_video=1),
}


@pytest.fixture
def loaders(make_set, make_model, build):
    """A function that makes a model, the training loader and the cached one."""

    def make(options, **model_options):
        dataset, model = make_set(**options), make_model(**model_options).train()
        sampler = GroupSampler(dataset, shuffle=True, seed=3)
        plain = DataLoader(
            dataset, batch_size=5, sampler=sampler, drop_last=True, collate_fn=pseudo_collate
        )
        return model, plain, cached_loader(plain, build(dataset, model))

    return make


def names_of(batch):
    """What a batch says of its videos; a cache knows nothing of their files."""
    known = [dict(sample.metainfo_items()) for sample in batch['data_samples']]
    of_files = 'duration', 'broken_tail'
    return [{key: value for key, value in each.items() if key not in of_files} for each in known]


def assert_same_batches(model, plain, cached):
    assert len(cached) == len(plain)
    for epoch in range(3):
        cached.batch_sampler.sampler.set_epoch(epoch)
        for one, other in zip(plain, cached, strict=True):
            assert names_of(one) == names_of(other)
            one = model.data_preprocessor(one)['inputs']
            other = model.data_preprocessor(other)['inputs']
            assert one['video_of_text'].equal(other['video_of_text'])
            assert one['video_index'].equal(other['video_index'])
            wanted, found = model.extract(one), model.extract(other)
            for name, value in wanted[1].tensors().items():
                torch.testing.assert_close(found[1].tensors()[name], value)
            assert found[0].mask.equal(wanted[0].mask)
            torch.testing.assert_close(found[0].pooled, wanted[0].pooled)
            torch.testing.assert_close(found[0].words, wanted[0].words * wanted[0].mask[..., None])
            losses = []
            for batch in (one, other):
                torch.manual_seed(epoch)
                losses.append(sum(model(batch, mode='loss').values()))
            torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize('options', ITEMS.values(), ids=ITEMS)
def test_a_batch_has_the_same_videos_captions_features_and_losses(loaders, options):
    assert_same_batches(*loaders(options))


def test_an_unreadable_video_is_replaced_by_the_same_one(loaders, tmp_path):
    for name in 'be':
        (tmp_path / f'{name}.mp4').write_bytes(b'no video')
    model, plain, cached = loaders(dict(captions_per_video=1, bad_videos='skip'))
    assert cached.dataset.store.num_videos == 3
    assert_same_batches(model, plain, cached)


def test_building_leaves_the_random_state(make_set, make_model, build):
    dataset, model = make_set(), make_model()
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    build(dataset, model)
    assert torch.rand(3).equal(wanted)


class Brighten:
    """A random transform of this package's kind: it draws from the item's seed."""

    def __call__(self, results):
        factor = np.random.default_rng([*results['item_seed']]).uniform(0.2, 0.9)
        results['imgs'] = [(factor * image).astype(np.uint8) for image in results['imgs']]
        return results


def test_a_cache_holds_several_views_and_each_batch_has_one(make_set, make_model, build, pipeline):
    pipeline.insert(2, Brighten())
    dataset, model = make_set(pipeline=pipeline, captions_per_video=1), make_model()
    store = build(dataset, model, views=3)
    assert store.num_views == 3
    rows = np.arange(store.num_videos)
    views = [store.videos(rows, view) for view in range(3)]
    for number, view in enumerate(views):
        item = WholeVideos(dataset, view=number)[2]
        batch = model.data_preprocessor(pseudo_collate([item]), False)['inputs']
        wanted = model.encode_video(batch['frames'], batch['frame_mask'])
        torch.testing.assert_close(view[2:3].frames, wanted.frames)
        assert view.mask.equal(views[0].mask)
    loader = DataLoader(dataset, batch_size=5, collate_fn=pseudo_collate)
    seen = []
    for epoch in range(12):
        dataset.set_epoch(epoch, 0)
        (batch,) = cached_loader(loader, store)
        frames = batch['inputs']['videos'].frames
        seen += [number for number, view in enumerate(views) if torch.equal(frames, view.frames)]
    assert len(seen) == 12
    assert set(seen) == {0, 1, 2}


def test_random_transforms_are_refused_without_views(make_set, make_model, build, pipeline):
    pipeline.insert(2, Brighten())
    with pytest.raises(ValueError, match=r'hold several draws by views=4'):
        build(make_set(pipeline=pipeline), make_model())
