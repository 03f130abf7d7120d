"""Hooks by name, and a config as it is printed."""

import runpy
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from mmengine.config import Config

from diffusionret_mm.apis import run
from diffusionret_mm.apis.command_line import read_config

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/diffusionret_shapes.py'


@pytest.mark.parametrize('option', ['custom_hooks.0.begin', 'custom_hooks.1.directory'])
def test_places_of_hooks_are_refused_on_the_command_line(option):
    args = Namespace(config=str(CONFIG), backbone=None, cfg_options={option: 0})
    with pytest.raises(ValueError, match=r'default_hooks\.stage_switch\.OPTION'):
        read_config(args)
    args.cfg_options = {'default_hooks.stage_switch.begin': 0}
    hook = read_config(args).default_hooks.stage_switch
    assert (hook.type, hook.begin) == ('StageSwitchHook', 0)


def test_hooks_run_in_the_order_that_they_had_in_a_list(tiny_model_cfg, tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/published/diffusionret_msrvtt.py')
    cfg.model, cfg.work_dir = tiny_model_cfg, str(tmp_path)
    cfg.vis_backends = cfg.visualizer = None
    for key in ('train', 'val', 'test'):
        cfg[f'{key}_dataloader'] = cfg[f'{key}_cfg'] = None
    cfg.val_evaluator = cfg.test_evaluator = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.default_hooks.report = None  # which leaves it out
    runner = run.build_runner(cfg)
    names = [type(hook).__name__ for hook in runner.hooks]
    expected = [
        'ResumeHook',
        'RuntimeInfoHook',
        'StageSwitchHook',
        'EMABesideHook',
        'FeatureCacheHook',
        'NonFiniteLossHook',
        'IterTimerHook',
        'DistSamplerSeedHook',
        'LoggerHook',
        'ParamSchedulerHook',
        'DurableCheckpointHook',
        'RunRecordHook',
        'ValidateAtStartHook',
    ]
    assert names == expected


def test_a_config_is_printed_with_what_it_inherits(monkeypatch, capsys):
    options = ['--cfg-options', 'default_hooks.stage_switch.begin=3']
    monkeypatch.setattr(sys, 'argv', ['print_config.py', str(CONFIG), *options])
    runpy.run_path(str(ROOT / 'tools' / 'print_config.py'), run_name='__main__')
    cfg = Config.fromfile(CONFIG)
    cfg.default_hooks.stage_switch.begin = 3
    assert capsys.readouterr().out.strip() == cfg.pretty_text.strip()
