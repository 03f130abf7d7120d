"""Random galleries around the videos of a batch."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from diffusionret_mm.datasets.samplers import GroupSampler
from diffusionret_mm.features import cached_loader
from diffusionret_mm.features.gallery_sampling import GallerySampler


class Rows:
    """A store whose features are the numbers of their rows."""

    video_of_text = np.repeat(np.arange(30), 2)

    def texts(self, rows):
        return rows

    def videos(self, rows, view):
        return rows


@pytest.fixture(scope='module')
def galleries():
    return GallerySampler(Rows(), groups=np.repeat(np.arange(10), 3), sizes=(9, 15))


def test_groups_are_whole_and_the_batch_is_in(galleries):
    sizes = set()
    for seed in range(20):
        gallery = galleries.draw((0, seed, 0), np.array([4, 4, 29]), np.array([8, 9, 59]))
        videos = gallery.videos
        assert {1, 9} <= set(videos // 3)
        assert (np.bincount(videos // 3, minlength=10) % 3 == 0).all()
        assert gallery.texts[gallery.own_text].tolist() == [8, 9, 59]
        assert (videos[gallery.video_of_text] == Rows.video_of_text[gallery.texts]).all()
        assert (
            gallery.texts.tolist() == np.flatnonzero(np.isin(Rows.video_of_text, videos)).tolist()
        )
        sizes.add(len(videos))
    assert sizes == {9, 15}


def test_draws_depend_on_the_seed_alone(galleries):
    draw = [galleries.draw((0, seed, 0), np.array([4]), np.array([8])).videos for seed in (1, 2, 1)]
    assert draw[0].tolist() == draw[2].tolist() != draw[1].tolist()


def test_a_gallery_is_never_smaller_than_its_batch():
    galleries = GallerySampler(Rows(), groups=np.arange(30), sizes=(2,))
    own = np.arange(5)
    assert galleries.draw((0, 0, 0), own, 2 * own).videos.tolist() == own.tolist()


def test_a_gallery_larger_than_the_training_set_has_all_of_it():
    galleries = GallerySampler(Rows(), groups=np.arange(30), sizes=(99,))
    assert len(galleries.draw((0, 0, 0), np.array([3]), np.array([6])).videos) == 30


def test_a_model_trains_on_galleries_of_the_cache(make_set, make_model, build):
    dataset = make_set(captions_per_video=1)
    model = make_model(negatives='sampled_gallery', gallery_sizes=(4,)).train()
    sampler = GroupSampler(dataset, shuffle=True, seed=3)
    plain = DataLoader(dataset, batch_size=2, sampler=sampler, collate_fn=pseudo_collate)
    cached = cached_loader(plain, build(dataset, model), model.gallery_sizes)
    for batch in cached:
        inputs = model.data_preprocessor(batch)['inputs']
        gallery = inputs['sampled_gallery']
        assert len(gallery.videos) == 4
        torch.testing.assert_close(gallery.texts[gallery.own_text].pooled, inputs['texts'].pooled)
        own = gallery.video_of_text[gallery.own_text]
        wanted = inputs['videos'][inputs['video_of_text']].frames
        torch.testing.assert_close(gallery.videos[own].frames, wanted)
        sum(model(inputs, mode='loss').values()).backward()
