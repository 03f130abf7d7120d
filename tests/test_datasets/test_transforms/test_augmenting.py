import random

import numpy as np
import pytest
import torch
from mmaction.registry import TRANSFORMS

AUGMENTATION = dict(
    type='AugmentFrames',
    transforms=[
        dict(type='mmaction.RandomResizedCrop', area_range=(0.5, 1.0)),
        dict(type='mmaction.Resize', scale=(16, 16), keep_ratio=False),
        dict(type='mmaction.ColorJitter', brightness=0.3, contrast=0.3, saturation=0, hue=0),
    ],
)


@pytest.fixture(scope='module')
def images():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return [image, image.copy(), rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)]


def augment(images, item_seed, transform=None):
    transform = transform or TRANSFORMS.build(AUGMENTATION)
    return transform(dict(imgs=list(images), item_seed=item_seed))['imgs']


def test_frames_of_a_video_share_their_draws(images):
    augmented = augment(images, (0, 0, 0))
    assert [image.shape for image in augmented] == [(16, 16, 3)] * 3
    assert augmented[0].dtype == np.uint8
    assert np.array_equal(augmented[0], augmented[1])
    assert not np.array_equal(augmented[0], images[0])


def test_draws_depend_on_seed_epoch_and_item_alone(images):
    seeds = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    random.seed(1)
    np.random.seed(1)
    first = [augment(images, seed) for seed in seeds]
    random.seed(2)
    np.random.seed(2)
    again = [augment(images, seed) for seed in reversed(seeds)][::-1]
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a, b)
    assert len({np.stack(frames).tobytes() for frames in first}) == 4


def test_global_states_are_left_alone(images):
    transform = TRANSFORMS.build(AUGMENTATION)
    before = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()
    augment(images, (0, 0, 0), transform)
    after = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()
    assert after == before


def test_a_failing_transform_leaves_the_states_too():
    before = np.random.get_state()[1].tobytes()
    with pytest.raises(AttributeError):
        augment([None], (0, 0, 0))
    assert np.random.get_state()[1].tobytes() == before


def test_augmented_frames_are_not_kept_in_memory():
    with pytest.raises(ValueError, match='would freeze the random draws'):
        TRANSFORMS.build(dict(type='CacheInMemory', transforms=[AUGMENTATION]))
