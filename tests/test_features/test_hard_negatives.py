import numpy as np
import pytest
import torch

from diffusionret_mm.features import cached_loader, hard_negatives
from diffusionret_mm.features.hard_negatives import hardest_of_training_set


def brute_force(model, store, num_negatives):
    """Sort the whole matrix; the best ones by their numbers."""
    texts, videos = (np.arange(count) for count in (store.num_texts, store.num_videos))
    with torch.no_grad():
        scores = model.similarity(store.texts(texts), store.videos(videos))
    own = torch.from_numpy(store.video_of_text)[:, None] == torch.arange(store.num_videos)
    scores = scores.masked_fill(own, -9.0)
    return [
        matrix.sort(dim=1, descending=True).indices[:, :num_negatives].sort(dim=1).values
        for matrix in (scores, scores.t())
    ]


@pytest.mark.parametrize('slices', [2, 5, 1024])
def test_they_are_the_best_of_the_whole_matrix(make_set, make_model, build, monkeypatch, slices):
    monkeypatch.setattr(hard_negatives, 'SLICE', slices)
    model = make_model()
    store = build(make_set(), model)
    found = hardest_of_training_set(model, store, 3)
    videos, texts = brute_force(model, store, 3)
    assert found['negative_videos'].tolist() == videos.tolist()
    assert found['negative_texts'].tolist() == texts.tolist()


def test_given_scores_take_the_place_of_the_similarity(make_set, make_model, build, monkeypatch):
    monkeypatch.setattr(hard_negatives, 'SLICE', 2)
    model = make_model()
    store = build(make_set(), model)
    texts, videos = (np.arange(count) for count in (store.num_texts, store.num_videos))
    with torch.no_grad():
        scores = model.similarity(store.texts(texts), store.videos(videos))
    found = hardest_of_training_set(model, store, 3)
    given = hardest_of_training_set(model, store, 3, (scores, scores.t()))
    assert all(given[name].equal(found[name]) for name in found)
    turned = hardest_of_training_set(model, store, 3, (scores, -scores.t()))
    assert turned['negative_videos'].equal(found['negative_videos'])
    assert not turned['negative_texts'].equal(found['negative_texts'])


def test_no_more_than_every_query_has_and_never_of_the_own_video(make_set, make_model, build):
    model = make_model()
    store = build(make_set(), model)
    found = {name: rows.numpy() for name, rows in hardest_of_training_set(model, store, 99).items()}
    assert found['negative_videos'].shape == (12, 5 - 1)
    assert found['negative_texts'].shape == (5, 12 - 4)  # a video has four of the 12 texts
    assert not (found['negative_videos'] == store.video_of_text[:, None]).any()
    owners = store.video_of_text[found['negative_texts']]
    assert not (owners == np.arange(5)[:, None]).any()


def test_one_video_has_no_negatives(make_set, make_model, build):
    model = make_model()
    store = build(make_set(rows=(0, 1)), model)
    with pytest.raises(ValueError, match='one readable video only'):
        hardest_of_training_set(model, store, 3)


@pytest.fixture
def gallery_batch(make_set, make_model, build):
    """A model that takes negatives from the gallery, its cache and a batch of it."""
    dataset, model = make_set(captions_per_video=2), make_model(negatives='training_set')
    store = build(dataset, model)
    plain = torch.utils.data.DataLoader(dataset, batch_size=4)
    batch = next(iter(cached_loader(plain, store)))
    return model, store, model.data_preprocessor(batch)['inputs']


def test_a_batch_holds_the_negatives_of_its_rows(gallery_batch):
    model, store, batch = gallery_batch
    videos, texts = brute_force(model, store, 3)
    every = np.arange(store.num_texts)
    place = {tuple(row): number for number, row in enumerate(store.pooled(every).tolist())}
    negatives = batch['negatives']
    for row, pooled in enumerate(batch['texts'].pooled.tolist()):
        text = place[tuple(pooled)]
        frames = negatives.videos.frames[negatives.video_rows[row]]
        assert frames.equal(store.videos(videos[text].numpy()).frames)
        rows = texts[store.video_of_text[text]].numpy()
        assert negatives.texts[negatives.text_rows[row]].equal(store.pooled(rows))


def test_the_loss_is_that_of_the_rows_and_trains_the_generators(gallery_batch):
    model, _, batch = gallery_batch
    losses = model(batch, mode='loss')
    assert losses.keys() == {'loss_generation_t2v', 'loss_generation_v2t'}
    sum(losses.values()).backward()
    untrained = {name for name, p in model.generators.named_parameters() if not p.grad.any()}
    # The softmax over the candidates does not see what is added to all of them.
    assert untrained <= {f'{direction}.denoiser.decoder.2.bias' for direction in ('t2v', 'v2t')}


def test_without_a_cache_there_are_none(make_model, batch):
    model = make_model(negatives='training_set')
    with pytest.raises(ValueError, match="feature_cache=dict.type='FeatureCacheHook'"):
        model(batch(), mode='loss')
    with pytest.raises(ValueError, match='negatives must be one of'):
        make_model(negatives='world')
    with pytest.raises(ValueError, match="now called negatives='training_set'"):
        make_model(negatives='gallery')
