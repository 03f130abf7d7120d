"""Every config is read and its model built."""

from pathlib import Path

import pytest
from mmaction.registry import MODELS
from mmengine.config import Config

CONFIGS = sorted(path for path in Path('configs').rglob('*.py') if '_base_' not in path.parts)


BUILT = {}


def stage_of(model_cfg):
    """Build a model of the size of CLIP once, however many configs have it."""
    key = str(model_cfg)
    if key not in BUILT:
        BUILT[key] = getattr(MODELS.build(model_cfg), 'stage', 'generation')
    return BUILT[key]


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_a_config_is_short_and_its_model_builds(path):
    assert len(path.read_text().splitlines()) <= 60
    cfg = Config.fromfile(path)
    assert stage_of(cfg.model.to_dict()) == 'generation'


def test_msrvtt_has_the_published_sizes():
    cfg = Config.fromfile('configs/diffusionret_msrvtt.py')
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 128
    model = MODELS.build(cfg.model)
    frames, words = 12, 32
    assert cfg.num_frames == frames
    assert cfg.max_words == words
    assert model.backbone.embed_dim == 512
    assert len(model.temporal.transformer.resblocks) == 4
    assert model.generators['t2v'].num_sample_steps == 50


LENGTHS = dict(
    msrvtt=(12, 32), msvd=(12, 32), lsmdc=(12, 32), activitynet=(64, 64), didemo=(64, 64)
)


@pytest.mark.parametrize('name', LENGTHS)
def test_lengths_reach_every_split_and_the_test_split_chooses_nothing(name):
    cfg = Config.fromfile(f'configs/diffusionret_{name}.py')
    loaders = cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader
    for loader in loaders:
        steps = {step['type']: step for step in loader.dataset.pipeline}
        lengths = steps['DecodeVideo'].sample.num_frames, steps['TokenizeCaptions'].max_words
        assert lengths == LENGTHS[name]
    train, val, test = (loader.dataset for loader in loaders)
    source = 'split' if name == 'didemo' else 'ann_file'
    assert val[source] != test[source]
    assert val[source] != train[source] or (train.rows, val.rows) == ((0, -500), (-500, None))


@pytest.mark.parametrize('target', [name for name in LENGTHS if name != 'msrvtt'])
def test_out_of_domain_is_the_model_of_the_source_on_the_test_split_of_the_target(target):
    cfg = Config.fromfile(f'configs/ood/msrvtt_to_{target}.py')
    assert cfg.model == Config.fromfile('configs/diffusionret_msrvtt.py').model
    own = Config.fromfile(f'configs/diffusionret_{target}.py')
    assert cfg.test_dataloader == own.test_dataloader
    assert cfg.train_dataloader is None


@pytest.mark.parametrize('name', LENGTHS)
def test_published_configs_set_the_whole_protocol(name):
    cfg = Config.fromfile(f'configs/published/diffusionret_{name}.py')
    model = MODELS.build(cfg.model)
    assert model.similarity.padding == 'zero'
    assert model.generators['v2t'].attention.masking == 'after_softmax'
    assert model.loss_head.contrastive.same_video == model.same_video == 'negative'
    assert cfg.test_evaluator.ties == cfg.test_evaluator.grouping == 'published'
    assert cfg.choose_on_test
    assert cfg.train_dataloader.dataset.item == 'caption'
    assert cfg.optim_wrapper.optimizer.type == 'BertAdam'
    hooks = ['StageSwitchHook', 'FeatureCacheHook', 'ValidateAtStartHook']
    assert [hook.type for hook in cfg.custom_hooks] == hooks
    for split in ('train', 'val', 'test'):
        decode, _, tokenize, _ = cfg[f'{split}_dataloader'].dataset.pipeline
        assert decode.sample.rule == 'whole_seconds'
        assert decode.decoders == ('opencv',) or decode.decoders == ['opencv']
        assert (decode.sample.num_frames, tokenize.max_words) == LENGTHS[name]


# CLIP4Clip's heads put frames into context in ways of their own, or not at all.
OWN_TEMPORAL = ('clip4clip_meanp', 'clip4clip_seqlstm', 'clip4clip_tighttransf')


def test_the_compared_differ_in_the_model_alone():
    """DiffusionRet trains its second stage on top."""
    folder = Path('configs/comparison')
    one = Config.fromfile(folder / 'xpool.py')
    assert len(list(folder.glob('*.py'))) == 14
    for path in folder.glob('*.py'):
        cfg = Config.fromfile(path)
        assert cfg.model.backbone == one.model.backbone
        assert (cfg.model.temporal == one.model.temporal) == (path.stem not in OWN_TEMPORAL)
        assert cfg.train_cfg.max_epochs - one.train_cfg.max_epochs == 3 * ('custom_hooks' in cfg)
        assert cfg.get('custom_hooks', [dict(begin=8)])[0]['begin'] == one.train_cfg.max_epochs
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper',
                    'param_scheduler', 'test_evaluator', 'randomness'):  # fmt: skip
            assert cfg[key] == one[key]


@pytest.mark.parametrize(('stacked', 'first'), [('clip4clip', 'clip4clip_seqtransf'),
                                                ('emcl', 'emcl')])  # fmt: skip
def test_generators_are_stacked_on_another_first_stage_by_config_alone(stacked, first):
    folder = Path('configs/comparison')
    cfg, plain = (
        Config.fromfile(folder / f'{name}.py') for name in (f'diffusionret_{stacked}', first)
    )
    assert cfg.model.similarity == plain.model.similarity
    assert cfg.model.generator == Config.fromfile(folder / 'diffusionret.py').model.generator


BASELINES = [path for method in ('clip4clip', 'drl', 'emcl', 'hbi')
             for path in sorted(Path(f'configs/{method}').glob('*.py'))
             if not path.stem.endswith('_shapes')]  # fmt: skip


@pytest.mark.parametrize('path', BASELINES, ids=str)
def test_baselines_have_the_published_batch_and_lengths(path):
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 128
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        steps = {step['type']: step for step in loader.dataset.pipeline}
        lengths = steps['DecodeVideo'].sample.num_frames, steps['TokenizeCaptions'].max_words
        assert lengths == LENGTHS[path.stem.split('_')[1]]
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.optim_wrapper.paramwise_cfg.backbone_lr_mult == 0.01
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_epochs
