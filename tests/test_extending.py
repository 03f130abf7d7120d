"""What is written outside of the package, in one file each: trained, evaluated, searched."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from diffusionret_mm.apis import TextVideoInferencer, train_retriever
from diffusionret_mm.apis.run import test_retriever as evaluate

PLUGINS = Path(__file__).parent / 'plugins'
NAMES = 'abcdef'
PARTS = ('backbone', 'temporal')


@pytest.fixture
def folder(tmp_path, write_clip):
    """Clips with captions, both as a JSON list and as text files."""
    root, entries = tmp_path / 'clips', []
    for number, name in enumerate(NAMES):
        write_clip(root / f'{name}.mp4', num_frames=4 + 4 * number)
        captions = [f'the clip {name} is shown', f'{name} runs']
        (root / f'{name}.txt').write_text('\n'.join(captions))
        entries.append(dict(video_id=name, video=f'{name}.mp4', captions=captions))
    (root / 'list.json').write_text(json.dumps(entries))
    return root


@pytest.fixture
def make_run(tmp_path, folder, tiny_model_cfg, clip_pipeline, monkeypatch):
    """A function that makes the config of a run of two steps with one file of `plugins/`."""

    def make(plugin, model=None, dataset=None):
        monkeypatch.syspath_prepend(str(PLUGINS))
        data = dict(data_root=str(folder), pipeline=clip_pipeline)
        data |= dataset or dict(type='TextVideoDataset', ann_file='list.json')
        loader = dict(batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler'))
        cosine = dict(type='TextVideoRetriever', similarity=dict(type='CosineSimilarity'))
        parts = {key: tiny_model_cfg[key] for key in PARTS}
        loss = dict(loss=dict(type='ContrastiveLoss'))
        cfg = Config(
            dict(
                default_scope='mmaction',
                custom_imports=dict(imports=[plugin]),
                work_dir=str(tmp_path / 'run'),
                model=parts | loss | cosine | (model or {}),
                train_dataloader=dict(loader, dataset=dict(data, captions_per_video=1)),
                val_dataloader=dict(loader, dataset=dict(data, test_mode=True)),
                test_dataloader=dict(loader, dataset=dict(data, test_mode=True)),
                train_cfg=dict(type='TextVideoTrainLoop', max_epochs=1),
                val_cfg=dict(type='TextVideoValLoop'),
                test_cfg=dict(type='TextVideoTestLoop'),
                val_evaluator=dict(type='TextVideoRetrievalMetric'),
                test_evaluator=dict(type='TextVideoRetrievalMetric'),
                optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
                default_hooks=dict(
                    checkpoint=dict(
                        type='DurableCheckpointHook', save_best='t2v/R@1', rule='greater'
                    )
                ),
                randomness=dict(seed=0),
            )
        )
        cfg.dump(tmp_path / 'config.py')
        return Config.fromfile(tmp_path / 'config.py')  # which imports the plugin

    return make


def train_test_search(cfg, folder):
    """Train, test the best checkpoint, and search the same clips with it."""
    trained = train_retriever(cfg)
    (best,) = Path(cfg.work_dir).glob('best_*.pth')
    cfg.work_dir += '_test'
    assert evaluate(cfg, str(best), out=None) == trained
    inferencer = TextVideoInferencer(cfg, best, device='cpu', num_workers=0, show_progress=False)
    gallery = inferencer.index(folder, folder.parent / 'gallery')
    found = inferencer.search('the clip a is shown', gallery, top_k=6)
    assert sorted(Path(hit.video).stem for hit in found.hits) == list(NAMES)
    return inferencer, found


def test_a_similarity(make_run, folder):
    cfg = make_run('max_similarity', dict(similarity=dict(type='MaxSimilarity')))
    inferencer, found = train_test_search(cfg, folder)
    text = inferencer.encode_text('the clip a is shown')
    videos = inferencer.encode_video([hit.video for hit in found.hits])
    expected = inferencer.model.similarity(text, videos)[0]
    scores = torch.tensor([hit.similarity for hit in found.hits])
    torch.testing.assert_close(scores, expected.detach(), rtol=1e-3, atol=1e-3)  # of float16
    assert all(hit.generator is None for hit in found.hits)


def test_a_retriever_that_re_ranks(make_run, folder):
    cfg = make_run('mean_reranker', dict(type='MeanReranker'))
    _, found = train_test_search(cfg, folder)
    # The similarity is the same cosine, so the three best get 2 plus twice it.
    for hit in found.hits[:3]:
        assert hit.score == pytest.approx(2 + 2 * hit.similarity, abs=1e-3)
        assert hit.generator == pytest.approx(2 + hit.similarity, abs=1e-3)
    assert [hit.generator for hit in found.hits[3:]] == [None] * 3


def test_a_data_set(make_run, folder):
    cfg = make_run('folder_dataset', dataset=dict(type='FolderDataset'))
    train_test_search(cfg, folder)
    assert not any(Path(cfg.work_dir).rglob('*.pth'))  # the test alone leaves none


def test_a_backbone(make_run, folder):
    cfg = make_run('colour_backbone', dict(backbone=dict(type='ColourBackbone'), temporal=None))
    inferencer, found = train_test_search(cfg, folder)
    assert inferencer.model.backbone.embed_dim == 8
    text = inferencer.encode_text('the clip a is shown')
    videos = inferencer.encode_video([hit.video for hit in found.hits])
    scores = torch.tensor([hit.similarity for hit in found.hits])
    expected = inferencer.model.similarity(text, videos)[0].detach()
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-3)
