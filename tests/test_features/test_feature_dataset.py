"""Items of imported features, and what such a folder and a model without a backbone refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.apis.backbone import use_backbone
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.features.importing import Sources, import_features
from diffusionret_mm.visualization import PictureError, read_sample

ROOT = Path(__file__).parents[2]
METHODS = (
    *('clip4clip', 'diffusionret', 'drl', 'emcl', 'textdiff', 'tmass', 'xpool'),
    *('zeroshot_mean', 'zeroshot_words'),
)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Imported features of two videos with one and three texts."""
    folder = tmp_path_factory.mktemp('features')
    rng = np.random.default_rng(0)
    arrays = {
        'videos/features': rng.standard_normal((2, 12, 64), dtype=np.float32),
        'videos/ids': np.array(['a', 'b']),
        'texts/features': rng.standard_normal((4, 64), dtype=np.float32),
        'texts/ids': np.array(['a', 'b#0', 'b#1', 'b#2']),
    }
    np.savez(folder / 'both.npz', **arrays)
    sources = Sources()
    sources.add(folder / 'both.npz')
    import_features(sources, folder / 'out', names={}, log=lambda text: None)
    return folder / 'out', arrays


@pytest.fixture
def make(source):
    """A function that builds the data set."""

    def build(folder=source[0], **options):
        cfg = dict(type='FeatureDataset', data_root=str(folder), pipeline=[])
        return DATASETS.build(cfg | options)

    return build


@pytest.fixture
def model_cfg():
    """Config of a model without a backbone and without weights."""
    return dict(
        type='TextVideoRetriever',
        backbone=None,
        embed_dim=64,
        similarity=dict(type='CosineSimilarity'),
        loss=dict(type='ContrastiveLoss'),
    )


def test_an_item_is_a_video_with_its_texts(make, source):
    item, arrays = make()[1], source[1]
    np.testing.assert_array_equal(item['inputs']['frames'], arrays['videos/features'][1])
    np.testing.assert_array_equal(item['inputs']['ids'].pooled, arrays['texts/features'][1:])
    assert item['data_samples'].captions == ['b#0', 'b#1', 'b#2']
    assert item['data_samples'].video_id == 'b'


def test_captions_are_drawn_anew_in_each_epoch_and_kept_in_an_item(make, source):
    dataset, drawn = make(captions_per_video=2), set()
    for epoch in range(8):
        dataset.set_epoch(epoch, 0)
        item = dataset[1]
        captions = item['data_samples'].captions
        rows = [1 + int(caption[-1]) for caption in captions]
        np.testing.assert_array_equal(
            item['inputs']['ids'].pooled, source[1]['texts/features'][rows]
        )
        drawn.add(tuple(captions))
    assert len(drawn) > 2


def test_items_of_captions_and_of_chosen_rows_have_their_own_texts(make, source):
    dataset = make(item='caption', rows=(1, None))
    assert len(dataset) == 3
    for number, item in enumerate(dataset):
        np.testing.assert_array_equal(
            item['inputs']['ids'].pooled[0], source[1]['texts/features'][1 + number]
        )


def test_a_batch_passes_the_model_as_it_is(make, model_cfg, source):
    model = MODELS.build(model_cfg)
    batch = model.data_preprocessor(pseudo_collate([*make()]))
    texts, videos = model(**batch, mode='tensor')
    np.testing.assert_array_equal(texts.pooled, source[1]['texts/features'])
    np.testing.assert_array_equal(videos.frames, source[1]['videos/features'])
    assert batch['inputs']['video_of_text'].tolist() == [0, 1, 1, 1]
    sum(model(**batch, mode='loss').values()).backward()
    assert model.backbone.log_scale.grad is not None
    assert model.backbone.logit_scale.item() == pytest.approx(1 / 0.07)
    model.load_pretrained()  # nothing is random


@pytest.mark.parametrize('name', METHODS)
def test_every_method_takes_features(make, name):
    model = Config.fromfile(ROOT / f'configs/_base_/models/{name}.py').model
    temporal = dict(type='TemporalTransformer', width=None, num_layers=1)
    model = MODELS.build(dict(temporal=temporal) | model | dict(backbone=None, embed_dim=64))
    batch = model.data_preprocessor(pseudo_collate([*make()]))
    losses = model(**batch, mode='loss')
    assert all(bool(loss.isfinite().all()) for loss in losses.values())
    model.eval()
    with torch.no_grad():
        texts, videos = model(**batch, mode='tensor')
        scores = model.similarity.score_gallery(texts, videos)
        t2v, v2t = model.rerank(scores, texts, videos)
    assert (t2v.shape, v2t.shape) == ((4, 2), (2, 4))


def test_other_folders_and_damaged_ones_are_refused(make, source, tmp_path):
    with pytest.raises(FileNotFoundError, match='no folder .*gone of imported features'):
        make(tmp_path / 'gone')
    with pytest.raises(AnnotationError, match='is no folder of tools/import_features.py'):
        make(tmp_path)
    copy = shutil.copytree(source[0], tmp_path / 'copy')
    videos = copy / 'videos.json'
    videos.write_text(json.dumps(json.loads(videos.read_text())[:1]))
    with pytest.raises(AnnotationError, match='lists 1 videos with 1 captions, and the features'):
        make(copy)
    (copy / 'frames.bin').write_bytes(b'')
    with pytest.raises(AnnotationError, match='are damaged: frames.bin has 0 bytes in place of'):
        make(copy)
    with pytest.raises(ValueError, match='give it pipeline='):
        make(pipeline=[dict(type='PackTextVideoInputs')])


def test_pictures_of_frames_are_refused(make, source):
    with pytest.raises(PictureError, match='lists imported features; what shows frames needs the'):
        read_sample(make(), 0)


def test_scores_of_chosen_rows(source, make, tmp_path):
    scores = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.save(tmp_path / 's.npy', scores)
    sources = Sources()
    sources.add(source[0].parent / 'both.npz')
    files = [tmp_path / 's.npy']
    import_features(sources, tmp_path / 'out', names={}, log=lambda text: None, scores=files)
    t2v, v2t = make(tmp_path / 'out', rows=(1, None)).imported_scores()
    np.testing.assert_array_equal(t2v, scores[1:, 1:])
    np.testing.assert_array_equal(v2t, scores[1:, 1:].T)
    with pytest.raises(ValueError, match='comes without scores; ImportedScores needs'):
        make().imported_scores()


def test_nothing_is_encoded_without_a_backbone(model_cfg, make):
    cfg = Config(dict(model=model_cfg))
    with pytest.raises(ValueError, match='has backbone=None: its features were imported'):
        TextVideoInferencer(cfg)
    with pytest.raises(ValueError, match='has backbone=None'):
        use_backbone(cfg, 'ViT-B-32')
    model = MODELS.build(model_cfg)
    with pytest.raises(ValueError, match='reads no sentences'):
        model.backbone.tokenizer  # noqa: B018
    with pytest.raises(ValueError, match=r'takes features \[B, F, 64\]'):
        model.encode_video(torch.zeros(1, 2, 3, 8, 8), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match='needs the width of its features'):
        MODELS.build(dict(model_cfg, embed_dim=None))
    with pytest.raises(ValueError, match='embed_dim=64 is for models with backbone=None'):
        MODELS.build(dict(model_cfg, backbone=dict(type='FeatureBackbone', embed_dim=64)))
