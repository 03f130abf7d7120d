"""Features of a run, written in each form and imported, give the numbers of the run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_forms import FORMS, write_form
from mmaction.registry import HOOKS, MODELS
from mmengine.hooks import Hook

from diffusionret_mm.apis import run as runs
from diffusionret_mm.apis.run import build_runner, train_retriever
from diffusionret_mm.evaluation import evaluate_ranking
from diffusionret_mm.features import FeatureStore, WholeVideos
from diffusionret_mm.features.importing import Sources, import_features

SPLITS = ('train', 'val', 'test')


@HOOKS.register_module()
class KeepFeatures(Hook):
    """Keeps the features that are evaluated, the losses, and lets two runs draw the same noise."""

    kept = {}

    def before_train(self, runner):
        torch.manual_seed(7)
        self.kept['losses'] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.kept['losses'].append(outputs['loss'].item())

    def after_val_epoch(self, runner, metrics=None):
        self.kept['val'] = runner.val_loop.scored.split

    def after_test_epoch(self, runner, metrics=None):
        scored = runner.test_loop.scored
        self.kept.update(test=scored.split, scores=(scored.similarity, scored.t2v, scored.v2t))


def arrays_of(texts, videos, video_ids, counts):
    """Features of a split as arrays with ids."""
    text_ids = [
        f'{key}#{n}' for key, count in zip(video_ids, counts, strict=True) for n in range(count)
    ]
    return (
        dict(features=videos.frames.numpy(), mask=videos.mask.numpy(), ids=np.array(video_ids)),
        dict(
            features=texts.words.numpy(),
            mask=texts.mask.numpy(),
            pooled=texts.pooled.numpy(),
            ids=np.array(text_ids),
        ),
    )


def entries_of(dataset):
    """The annotation of a split, in the form of a JSON list."""
    return [
        {key: entry[key] for key in ('video_id', 'captions', 'group')}
        for entry in WholeVideos(dataset).entries
    ]


def save_own(state, path, left_out=('backbone.', 'temporal.')):
    """Save what a model without a backbone has of the weights."""
    own = {name: value for name, value in state.items() if not name.startswith(left_out)}
    torch.save(dict(state_dict=own | {'backbone.log_scale': torch.zeros(())}, meta={}), path)


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    return dict(folder=tmp_path_factory.mktemp('imported'))


@pytest.fixture
def plain(make_cfg, shared):
    """Losses, metrics, initial weights and features of a run of stage two from videos."""
    if 'metrics' not in shared:
        folder = shared['folder']
        cfg = make_cfg(**STAGE_TWO, custom_hooks=[dict(type='KeepFeatures')])
        cfg.work_dir = str(folder / 'plain')
        torch.manual_seed(0)
        state = MODELS.build(cfg.model).state_dict()
        torch.save(dict(state_dict=state, meta={}), folder / 'all.pth')
        save_own(state, folder / 'own.pth')
        cfg.load_from = str(folder / 'all.pth')
        shared.update(metrics=train_retriever(cfg), losses=KeepFeatures.kept['losses'])
        shared.update(scores=KeepFeatures.kept['scores'], splits=features_of(cfg))
    return shared


def features_of(cfg):
    """Arrays and annotation of each split, as the run saw them."""
    runner = build_runner(cfg)
    store = FeatureStore.open(Path(cfg.work_dir) / 'feature_cache')
    splits = {}
    for name in SPLITS:
        entries = entries_of(runner.build_dataloader(cfg[f'{name}_dataloader']).dataset)
        if name == 'train':
            rows = np.arange(store.num_texts), np.arange(store.num_videos)
            texts, videos = store.texts(rows[0]), store.videos(rows[1])
        else:
            split = KeepFeatures.kept[name]
            texts, videos = split.texts, split.videos
        ids = [entry['video_id'] for entry in entries]
        counts = [len(entry['captions']) for entry in entries]
        splits[name] = (*arrays_of(texts, videos, ids, counts), entries)
    return splits


STAGE_TWO = {'default_hooks.stage_switch.begin': 0, 'train_cfg.max_epochs': 2}


@pytest.fixture
def imported_cfg(make_cfg, plain):
    """A function that imports all splits from a form, and makes a config of them."""

    def make(form):
        folder = plain['folder'] / form
        if not folder.exists():
            for name, split in plain['splits'].items():
                sources = Sources()
                sources.add(write_form(form, folder / 'source' / name, *split))
                import_features(sources, folder / name, names={}, log=lambda text: None)
        cfg = make_cfg(form, **STAGE_TWO, custom_hooks=[dict(type='KeepFeatures')])
        cfg.model.update(backbone=None, temporal=None)
        for name in SPLITS:
            dataset = cfg[f'{name}_dataloader'].dataset
            cfg[f'{name}_dataloader'].dataset = dict(
                type='FeatureDataset',
                data_root=str(folder / name),
                captions_per_video=dataset.get('captions_per_video'),
                pipeline=[],
                test_mode=name != 'train',
            )
        return cfg

    return make


def test_stage_two_has_the_losses_and_metrics_of_the_run(imported_cfg, plain):
    cfg = imported_cfg('npy')
    cfg.load_from = str(plain['folder'] / 'own.pth')
    metrics = train_retriever(cfg)
    assert KeepFeatures.kept['losses'] == plain['losses']
    assert len(plain['losses']) > 4
    assert metrics == plain['metrics']


@pytest.mark.parametrize('form', FORMS)
def test_every_form_has_the_metrics_of_the_run(imported_cfg, plain, form):
    (best,) = {*(plain['folder'] / 'plain').glob('best_*.pth')}
    save_own(torch.load(best, weights_only=False)['state_dict'], plain['folder'] / 'best.pth')
    cfg = imported_cfg(form)
    metrics = runs.test_retriever(cfg, str(plain['folder'] / 'best.pth'), out=None)
    assert metrics == plain['metrics']
    assert all(map(torch.equal, KeepFeatures.kept['scores'], plain['scores']))
    annotation = json.loads((plain['folder'] / form / 'test/videos.json').read_text())
    assert annotation == plain['splits']['test'][2]


@pytest.fixture
def cosine_cfg(imported_cfg, tmp_path):
    """A function that makes a config of a model without weights on the imported features."""

    def make(**options):
        cfg = imported_cfg('npy')
        cfg.model = dict(
            type='TextVideoRetriever',
            backbone=None,
            similarity=dict(type='CosineSimilarity'),
            loss=dict(type='ContrastiveLoss'),
        )
        cfg.work_dir = str(tmp_path / 'cosine')
        cfg.merge_from_dict(options)
        return cfg

    return make


def test_banks_and_reports_are_made_without_frames(cosine_cfg):
    cfg = cosine_cfg(
        **{
            'test_cfg.query_bank': {},
            'test_evaluator.post_processing': {'QB-Norm': {}, 'DSL': {}},
            'default_hooks.report.draw': True,
            'default_hooks.report.num_queries': 1,
        }
    )
    metrics = runs.test_retriever(cfg, None, out=None)
    assert {'QB-Norm/t2v/R@1', 'DSL/v2t/R@1', 'v2t/MnR'} <= metrics.keys()
    page = (Path(cfg.work_dir) / 'report.html').read_text()
    assert 'what shows frames needs the videos' in page
    assert 'Recall over the cut-off k' in page


def test_a_temporal_module_is_trained_on_features_of_frames(cosine_cfg):
    cfg = cosine_cfg(**{'train_cfg.max_epochs': 1, 'default_hooks.stage_switch': None})
    cfg.default_hooks.feature_cache = None
    cfg.model.temporal = dict(type='TemporalTransformer', width=None, num_layers=1)
    metrics = train_retriever(cfg)
    assert metrics['v2t/MnR'] >= 1
    (saved,) = Path(cfg.work_dir).glob('best_*.pth')
    names = torch.load(saved, weights_only=False)['state_dict'].keys()
    assert any(name.startswith('temporal.') for name in names)


def test_widths_follow_the_features_and_must_agree(cosine_cfg, imported_cfg, tmp_path):
    cfg = cosine_cfg()
    build_runner(cfg)
    assert cfg.model.embed_dim == 64
    write_form(
        *('npz', tmp_path / 'narrow'),
        dict(features=np.ones((1, 3), np.float32), ids=np.array(['a'])),
        dict(features=np.ones((1, 3), np.float32), ids=np.array(['a'])),
    )
    sources = Sources()
    sources.add(tmp_path / 'narrow')
    import_features(sources, tmp_path / 'three', names={}, log=lambda text: None)
    cfg = cosine_cfg(**{'val_dataloader.dataset.data_root': str(tmp_path / 'three')})
    with pytest.raises(ValueError, match="the widths are {'train_dataloader': 64, 'val_datal.*3,"):
        build_runner(cfg)


@pytest.fixture
def scores_cfg(imported_cfg, plain, tmp_path):
    """A function that makes a config of the generators behind imported scores."""

    def make(scores, train_scores=()):
        cfg = imported_cfg('npz')
        cfg.work_dir = str(tmp_path / 'scores')
        cfg.model.similarity = dict(type='ImportedScores')
        cfg.model.negatives = 'training_set'
        for name, matrices in dict(train=train_scores, test=scores).items():
            files = [tmp_path / f'{name}_{number}.npy' for number in range(len(matrices))]
            for file, matrix in zip(files, matrices, strict=True):
                np.save(file, matrix.numpy())
            sources = Sources()
            sources.add(plain['folder'] / 'npz/source' / name)
            options = dict(names={}, log=lambda text: None, scores=files, rows='texts')
            import_features(sources, tmp_path / name, **options)
            cfg[f'{name}_dataloader'].dataset.data_root = str(tmp_path / name)
        cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
        return cfg

    return make


def test_the_scores_of_the_run_as_a_first_stage_give_its_metrics(scores_cfg, plain, tmp_path):
    (best,) = {*(plain['folder'] / 'plain').glob('best_*.pth')}
    state = torch.load(best, weights_only=False)['state_dict']
    save_own(state, tmp_path / 'own.pth', ('backbone.', 'temporal.', 'similarity.'))
    cfg = scores_cfg([plain['scores'][0]])
    assert runs.test_retriever(cfg, str(tmp_path / 'own.pth'), out=None) == plain['metrics']
    assert all(map(torch.equal, KeepFeatures.kept['scores'], plain['scores']))


def test_generators_are_trained_and_tested_behind_a_matrix_for_each_direction(scores_cfg, plain):
    def draw(split):
        texts, videos = (len(plain['splits'][split][side]['ids']) for side in (1, 0))
        generator = torch.Generator().manual_seed(0)
        return [
            torch.rand(shape, generator=generator) for shape in ((texts, videos), (videos, texts))
        ]

    train, test = draw('train'), draw('test')
    metrics = train_retriever(scores_cfg(test, train))
    own = KeepFeatures.kept['test'].video_of_text
    for name, value in evaluate_ranking(*test, own).items():
        assert metrics[f'discrimination/{name}'] == value
    assert torch.equal(KeepFeatures.kept['scores'][0], test[0])
    assert not torch.equal(KeepFeatures.kept['scores'][2], test[1])  # re-ranked


def test_what_has_no_scores_is_refused(scores_cfg, plain):
    cfg = scores_cfg([])
    cfg.model.stage = 'discrimination'
    torch.save(
        dict(state_dict=MODELS.build(cfg.model | dict(embed_dim=64)).state_dict()),
        plain['folder'] / 's.pth',
    )
    with pytest.raises(ValueError, match='videos.json comes without scores; ImportedScores needs'):
        runs.test_retriever(cfg, str(plain['folder'] / 's.pth'), out=None)
