"""Every config is read and its model built."""

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS, OPTIM_WRAPPERS, OPTIMIZERS
from mmengine.config import Config

from diffusionret_mm.apis.backbone import follow_backbone, use_backbone
from diffusionret_mm.apis.run import refuse_unnamed_hooks, use_amp

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


def name_of(path):
    return str(path.relative_to(ROOT / 'configs'))


@cache
def resolved(path):
    return Config.fromfile(path)


def read(path):
    """A config, which is read from its files once."""
    return copy.deepcopy(resolved(Path(path)))


BUILT = {}


def build(cfg):
    """The model of a config, only to be looked at; configs of the same model share one."""
    key = repr(cfg)
    if key not in BUILT:
        with torch.device('meta'):  # sizes of CLIP cost nothing there
            BUILT[key] = MODELS.build(cfg)
    return BUILT[key]


def depth_of(path):
    """How many configs stand below one another, this one not counted."""
    bases = Config._get_base_files(str(path))
    return max((1 + depth_of(path.parent / base) for base in bases), default=0)


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_a_config_is_short_and_at_most_two_deep(path):
    assert len(path.read_text().splitlines()) <= 60
    assert 1 <= depth_of(path) <= 2


def test_bases_are_neutral_and_say_different_things():
    texts = {}
    for path in sorted((ROOT / 'configs/_base_').rglob('*.py')):
        lines = [line for line in path.read_text().splitlines() if not line.startswith('#')]
        assert texts.setdefault('\n'.join(lines), path) == path
        for base in Config._get_base_files(str(path)):
            assert base.startswith('./')  # of the same kind
    models = {path.stem for path in (ROOT / 'configs/_base_/models').glob('*.py')}
    inheriting = {
        name: Config._get_base_files(str(ROOT / f'configs/_base_/models/{name}.py'))
        for name in models
    }
    assert {name: base for name, base in inheriting.items() if base} == {
        'diffusionret_published': ['./diffusionret.py']  # the same method
    }


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_a_model_builds_in_its_last_stage(path):
    cfg = read(path).model
    if cfg.backbone is None:
        cfg.embed_dim = 512  # the tools take it from the features
    model = build(cfg)
    assert model.stage == model.stages[-1]
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.fixture(scope='module')
def group_of_one():
    """A group of one process, over which ShardedAdamW spreads its state."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_amp_builds(path, dtype, monkeypatch, group_of_one):
    cfg = read(path)
    if not cfg.get('optim_wrapper'):
        assert path.parent.name in ('ood', 'zeroshot', 'analysis')  # for testing alone
        assert cfg.train_dataloader is None
        return
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)  # stands a GPU in
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')
    use_amp(cfg, dtype)
    wrappers = [cfg.optim_wrapper]
    if 'stage_switch' in cfg.default_hooks:
        wrappers.append(cfg.default_hooks.stage_switch.optim_wrapper)
    parameter = torch.nn.Parameter(torch.zeros(1))
    for wrapper in wrappers:
        wrapper = dict(wrapper)
        for key in ('constructor', 'paramwise_cfg'):
            wrapper.pop(key, None)
        options = dict(wrapper.pop('optimizer'), params=[parameter])
        optimizer = OPTIMIZERS.build(options)
        built = OPTIM_WRAPPERS.build(dict(wrapper, optimizer=optimizer))
        assert type(built).__name__ == 'AmpOptimWrapper'
        assert built.cast_dtype == getattr(torch, dtype)


def test_amp_is_refused_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(RuntimeError, match='--amp needs a GPU'):
        use_amp(read(ROOT / 'configs/diffusionret_shapes.py'), 'float16')


@pytest.mark.parametrize('hook', ['StageSwitchHook', 'FeatureCacheHook', 'ValidateAtStartHook'])
def test_hooks_in_a_list_are_refused_with_their_names(hook):
    cfg = Config(dict(custom_hooks=[dict(type='EMAHook'), dict(type=hook)]))
    with pytest.raises(ValueError, match=f'{hook} is an entry of default_hooks now'):
        refuse_unnamed_hooks(cfg)
    refuse_unnamed_hooks(Config(dict(custom_hooks=[dict(type='EMAHook')])))


def test_msrvtt_has_the_published_sizes():
    cfg = read(ROOT / 'configs/diffusionret_msrvtt.py')
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 128
    model = build(cfg.model)
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
    cfg = read(f'{ROOT}/configs/diffusionret_{name}.py')
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
    cfg = read(f'{ROOT}/configs/ood/msrvtt_to_{target}.py')
    assert cfg.model == read(ROOT / 'configs/diffusionret_msrvtt.py').model
    own = read(f'{ROOT}/configs/diffusionret_{target}.py')
    assert cfg.test_dataloader == own.test_dataloader
    assert cfg.train_dataloader is None


@pytest.mark.parametrize('name', LENGTHS)
def test_published_configs_set_the_whole_protocol(name):
    cfg = read(f'{ROOT}/configs/published/diffusionret_{name}.py')
    model = build(cfg.model)
    assert model.similarity.padding == 'zero'
    assert model.generators['v2t'].attention.masking == 'after_softmax'
    assert model.loss_head.contrastive.same_video == model.same_video == 'negative'
    assert cfg.test_evaluator.ties == cfg.test_evaluator.grouping == 'published'
    assert cfg.choose_on_test
    assert cfg.train_dataloader.dataset.item == 'caption'
    assert cfg.optim_wrapper.optimizer.type == 'BertAdam'
    hooks = ['StageSwitchHook', 'FeatureCacheHook', 'ValidateAtStartHook']
    assert [hook.type for hook in list(cfg.default_hooks.values())[-3:]] == hooks
    for split in ('train', 'val', 'test'):
        decode, _, tokenize, _ = cfg[f'{split}_dataloader'].dataset.pipeline
        assert decode.sample.rule == 'whole_seconds'
        assert decode.decoders == ('opencv',) or decode.decoders == ['opencv']
        assert (decode.sample.num_frames, tokenize.max_words) == LENGTHS[name]


@pytest.mark.parametrize('similarity', ['mean', 'words'])
@pytest.mark.parametrize('name', [*LENGTHS, 'shapes'])
def test_without_training_the_test_split_is_that_of_trained_models(name, similarity):
    cfg = read(f'{ROOT}/configs/zeroshot/zeroshot_{similarity}_{name}.py')
    trained = 'comparison/wti' if name == 'shapes' else f'diffusionret_{name}'
    assert cfg.test_dataloader == read(f'{ROOT}/configs/{trained}.py').test_dataloader
    model = build(cfg.model)
    assert model.untrained_parts() == (['backbone'] if name == 'shapes' else [])


BACKBONES = sorted(path.stem for path in (ROOT / 'configs/_base_/backbones').glob('*.py'))


@pytest.mark.parametrize('name', [name for name in BACKBONES if not name.startswith('tiny')])
def test_every_backbone_is_used_without_training(name):
    cfg = read(ROOT / 'configs/zeroshot/zeroshot_mean_msrvtt.py')
    encoder = read(f'{ROOT}/configs/_base_/backbones/{name}.py').backbone
    use_backbone(cfg, f'{encoder.arch}:{encoder.pretrained}')
    follow_backbone(cfg)
    assert cfg.model.backbone.pretrained == encoder.pretrained
    assert build(cfg.model).untrained_parts() == []


# CLIP4Clip's heads put frames into context in ways of their own, or not at all.
OWN_TEMPORAL = ('clip4clip_meanp', 'clip4clip_seqlstm', 'clip4clip_tighttransf')


def test_the_compared_differ_in_the_model_alone():
    """DiffusionRet trains its second stage on top."""
    folder = ROOT / 'configs/comparison'
    one = read(folder / 'xpool.py')
    assert len(list(folder.glob('*.py'))) == 14
    for path in folder.glob('*.py'):
        cfg = read(path)
        assert cfg.model.backbone == one.model.backbone
        assert (cfg.model.temporal == one.model.temporal) == (path.stem not in OWN_TEMPORAL)
        switch = cfg.default_hooks.get('stage_switch')
        assert cfg.train_cfg.max_epochs - one.train_cfg.max_epochs == (3 if switch else 0)
        assert switch is None or switch.begin == one.train_cfg.max_epochs
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper',
                    'param_scheduler', 'test_evaluator', 'randomness'):  # fmt: skip
            assert cfg[key] == one[key]


@pytest.mark.parametrize(('stacked', 'first'), [('clip4clip', 'clip4clip_seqtransf'),
                                                ('emcl', 'emcl')])  # fmt: skip
def test_generators_are_stacked_on_another_similarity_by_config_alone(stacked, first):
    folder = ROOT / 'configs/comparison'
    cfg, plain = (read(folder / f'{name}.py') for name in (f'diffusionret_{stacked}', first))
    assert cfg.model.similarity == plain.model.similarity
    assert cfg.model.generator == read(folder / 'diffusionret.py').model.generator


BASELINES = [path for method in ('clip4clip', 'drl', 'emcl', 'hbi')
             for path in sorted((ROOT / 'configs' / method).glob('*.py'))
             if not path.stem.endswith('_shapes')]  # fmt: skip


@pytest.mark.parametrize('path', BASELINES, ids=name_of)
def test_baselines_have_the_published_batch_and_lengths(path):
    cfg = read(path)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 128
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        steps = {step['type']: step for step in loader.dataset.pipeline}
        lengths = steps['DecodeVideo'].sample.num_frames, steps['TokenizeCaptions'].max_words
        assert lengths == LENGTHS[path.stem.split('_')[1]]
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.optim_wrapper.paramwise_cfg.backbone_lr_mult == 0.01
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_epochs
