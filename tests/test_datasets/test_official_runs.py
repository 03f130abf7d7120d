"""Every public data set through its own config: official files, two iterations, an evaluation."""

import copy
import json
from pathlib import Path

import numbered_clips
import pytest
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from diffusionret_mm.apis import test_retriever as evaluate
from diffusionret_mm.apis import train_retriever
from diffusionret_mm.datasets.preparation import check_dataset

SPLITS = ('train', 'val', 'test')
ROOT = Path(__file__).parents[2]
TINY_MODEL = {
    'model.backbone.pretrained': None,
    'model.backbone.arch': dict(
        _delete_=True,  # the config names an architecture
        embed_dim=64,
        quick_gelu=True,
        vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=64),
        text_cfg=dict(context_length=77, width=16, heads=1, layers=1),
    ),
    'model.temporal.width': 64,
    'model.temporal.num_layers': 1,
    'model.similarity.width': 64,
    'model.generator.denoiser.width': 64,
    'model.generator.num_sample_steps': 5,
}
SHORT_RUN = {
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 1,
    'default_hooks.stage_switch.begin': 1,
    'train_dataloader.batch_size': 4,
    'auto_scale_lr.base_batch_size': 4,
    'train_dataloader.pin_memory': False,
    'default_hooks.report.draw': False,
}
SIZES = dict(msrvtt=(3, 3), msvd=(3, 6), lsmdc=(3, 3), activitynet=(3, 3), didemo=(3, 3))


def load(path, root, work_dir, **options):
    """Read a config with paths, a tiny backbone and the sizes of a short run."""
    cfg = Config.fromfile(ROOT / path)
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        if cfg[loader] is not None:
            options[f'{loader}.dataset.data_root'] = str(root)
            options |= {f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
    cfg.merge_from_dict(copy.deepcopy(TINY_MODEL) | options)  # merging takes _delete_ away
    cfg.work_dir = str(work_dir)
    return cfg


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


def held_out(name):
    """The last two training videos, where the config takes the last 500."""
    if name not in ('msrvtt', 'activitynet'):
        return {}
    return {
        'train_dataloader.dataset.rows': (0, -2),
        'val_dataloader.dataset.rows': (-2, None),
    }


def check_ranks_up_to_three(metrics, direction, queries):
    """R@1 counts the ranks of 1, and the mean rank fits a rest of ranks 2 and 3."""
    assert metrics[f'{direction}/R@5'] == metrics[f'{direction}/R@50'] == 100
    first = metrics[f'{direction}/R@1'] * queries / 100
    rank_sum = metrics[f'{direction}/MnR'] * queries
    assert [first, rank_sum] == pytest.approx([round(first), round(rank_sum)], abs=1e-6)
    least = first + 2 * (queries - first)
    assert least - 1e-6 <= rank_sum <= least + queries - first + 1e-6


@pytest.mark.parametrize('name', SIZES)
def test_a_config_trains_and_evaluates_what_was_prepared(name, official, tmp_path):
    root = official(name)
    preparation = check_dataset(name, root, root / 'videos', root / 'manifest.json', workers=1)
    assert preparation.bad_test_videos == []
    options = SHORT_RUN | held_out(name)
    for split in ('train', 'val', 'test'):
        options[f'{split}_dataloader.dataset.manifest'] = 'manifest.json'
    cfg = load(f'configs/diffusionret_{name}.py', root, tmp_path / 'run', **options)
    metrics = train_retriever(cfg)
    assert metrics == json.loads((tmp_path / 'run/metrics.json').read_text())
    videos, texts = SIZES[name]
    for ranking in ('', 'discrimination/'):
        check_ranks_up_to_three(metrics, f'{ranking}t2v', texts)
        check_ranks_up_to_three(metrics, f'{ranking}v2t', videos)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert f'{texts} texts, {videos} videos' in log
    assert 'choose_on_test:' not in log


def avi_files(root):
    """Write the videos of MSVD as AVI with frames out of order, as they are fetched."""
    paths = sorted((root / 'videos').rglob('*.avi'))
    for number, path in enumerate(paths):
        codec = ('mpeg4', 'libx264')[number % 2]
        numbered_clips.write(path, 40 + number, codec, 'avi', g='12', bf='2', start=50 * number)
    return paths


@pytest.mark.parametrize(
    'path', ['configs/diffusionret_msvd.py', 'configs/published/diffusionret_msvd.py']
)
def test_msvd_in_avi_is_prepared_trained_and_evaluated(path, official, tmp_path):
    root = official('msvd')
    paths = avi_files(root)
    assert len(paths) > 5
    manifest = check_dataset('msvd', root, root / 'videos', root / 'manifest.json').manifest
    frames = {record.path: record.frames for record in manifest.videos.values() if record.path}
    assert all(
        frames.get(str(path.relative_to(root / 'videos')), 40 + number) == 40 + number
        for number, path in enumerate(paths)
    )
    options = SHORT_RUN | {
        f'{split}_dataloader.dataset.manifest': 'manifest.json' for split in SPLITS
    }
    cfg = load(path, root, tmp_path / 'run', **options)
    metrics = train_retriever(cfg)
    assert metrics['t2v/R@5'] == 100
    dataset = cfg.test_dataloader.dataset
    items = DATASETS.build(dict(dataset, pipeline=[dataset.pipeline[0]]))
    assert len(items) == 3
    for item in items:
        number = paths.index(Path(item['filename']))
        found = [frame - 50 * number for frame in numbered_clips.numbers(item['imgs'])]
        assert found == item['frame_inds'].tolist()
        assert len(found) > 1


def test_the_published_choice_on_test_says_so(official, tmp_path):
    root = official('msrvtt')
    options = SHORT_RUN | {'choose_on_test': True, 'train_dataloader.batch_size': 6}
    options['auto_scale_lr.base_batch_size'] = 6
    cfg = load('configs/diffusionret_msrvtt.py', root, tmp_path / 'run', **options)
    train_retriever(cfg)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'WARNING - choose_on_test: the best checkpoint is chosen on the test split' in log
    assert log.count('3 texts, 3 videos') == 3  # two validations and the test
    assert 'Epoch(train) [1][1/1]' in log  # all six videos


def test_the_published_protocol(official, tmp_path):
    """BertAdam, whole seconds by OpenCV, an item a caption, validation before each stage."""
    path = 'configs/published/diffusionret_msvd.py'
    cfg = load(path, official('msvd'), tmp_path / 'run', **SHORT_RUN)
    metrics = train_retriever(cfg)
    # The published groups lose one of 6 captions and with it one of 3 videos.
    check_ranks_up_to_three(metrics, 't2v', 5)
    check_ranks_up_to_three(metrics, 'v2t', 2)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'choose_on_test:' in log
    assert 'lr 1e-07, weight decay 0.2' in log


@pytest.mark.slow
def test_one_checkpoint_on_the_other_data_sets(official, tmp_path):
    root = official('msrvtt')
    options = SHORT_RUN | held_out('msrvtt')
    cfg = load('configs/diffusionret_msrvtt.py', root, tmp_path / 'run', **options)
    train_retriever(cfg)
    checkpoint = str(next((tmp_path / 'run').glob('best_*_epoch_2.pth')))
    for target in ('activitynet', 'didemo', 'lsmdc', 'msvd'):
        path = f'configs/ood/msrvtt_to_{target}.py'
        cfg = load(path, official(target), tmp_path / target)
        metrics = evaluate(cfg, checkpoint, out=str(tmp_path / 'metrics.json'))
        assert metrics == json.loads((tmp_path / 'metrics.json').read_text())
        videos, texts = SIZES[target]
        log = next((tmp_path / target).glob('*/*.log')).read_text()
        assert f'{texts} texts, {videos} videos' in log


@pytest.mark.slow
def test_a_shapes_checkpoint_on_another_data_set_by_a_config_of_one_s_own(official, tmp_path):
    """Any other pair: the model of the source and the data set of the target."""
    scenes = dict(train=4, val=2, test=2)
    cfg = Config.fromfile(ROOT / 'configs/diffusionret_shapes.py')
    options = {f'{split}_dataloader.dataset.num_scenes': scenes for split in scenes}
    options |= {f'{split}_dataloader.dataset.data_root': str(tmp_path / 's') for split in scenes}
    options |= {
        'train_cfg.max_epochs': 2,
        'default_hooks.stage_switch.begin': 1,
        'train_cfg.val_interval': 1,
    }
    options |= {'train_dataloader.batch_size': 6, 'auto_scale_lr.base_batch_size': 6}
    options |= {'model.generator.num_sample_steps': 5}
    cfg.merge_from_dict(options)
    cfg.work_dir = str(tmp_path / 'run')
    train_retriever(cfg)

    text = (ROOT / 'configs/ood/msrvtt_to_msvd.py').read_text()
    text = text.replace('backbones/vit-b32', 'backbones/tiny_convnext')
    path = tmp_path / 'shapes_to_msvd.py'
    path.write_text(text.replace('../_base_', str(ROOT / 'configs/_base_')))
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path / 'ood')
    cfg.merge_from_dict(
        {
            'test_dataloader.num_workers': 0,
            'test_dataloader.persistent_workers': False,
            'test_dataloader.dataset.data_root': str(official('msvd')),
            'test_dataloader.dataset.pipeline.1.size': 64,
        }
    )
    best = next((tmp_path / 'run').glob('best_*_epoch_2.pth'))
    assert evaluate(cfg, str(best), out=None)['t2v/R@5'] == 100
