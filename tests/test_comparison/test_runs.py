import json

import pytest

from diffusionret_mm.comparison import ComparisonError, load_methods, run_seed
from diffusionret_mm.comparison.runs import write_config as write_merged


def test_methods_are_named_after_their_files_and_take_the_options(tmp_path, write_config):
    paths = [write_config('first'), write_config('second', base='xpool')]
    first, second = load_methods(paths, tmp_path / 'runs', {'train_cfg.max_epochs': 7})
    assert (first.name, second.name) == ('first', 'second')
    assert second.seed_folder(2) == tmp_path / 'runs/second/seed_2'
    assert first.cfg.train_cfg.max_epochs == second.cfg.train_cfg.max_epochs == 7
    assert first.cfg.default_hooks.run_cost.type == 'RunCostHook'
    assert first.cfg.default_hooks.checkpoint.type == 'DurableCheckpointHook'


def test_every_setting_in_which_the_tests_differ_is_named(tmp_path, write_config):
    paths = [
        write_config('first'),
        write_config('second', test_evaluator=dict(ties='published')),
    ]
    text = paths[1].read_text()
    paths[1].write_text(text + "test_dataloader['dataset']['split'] = 'val'\n")
    with pytest.raises(ComparisonError) as error:
        load_methods(paths, tmp_path)
    assert str(error.value).splitlines() == [
        'first and second are not tested alike, so their metrics cannot stand in one table:',
        "  test_dataloader.dataset.split: 'test' and 'val'",
        "  test_evaluator.ties: absent and 'published'",
    ]


def test_pipelines_may_differ(tmp_path, write_config):
    pipeline = [dict(type='PackTextVideoInputs')]
    other = write_config('second')
    text = other.read_text()
    other.write_text(text + f"test_dataloader['dataset']['pipeline'] = {pipeline!r}\n")
    assert len(load_methods([write_config('first'), other], tmp_path)) == 2


def test_mistakes(tmp_path, write_config):
    with pytest.raises(ComparisonError, match=r'There is no config none\.py'):
        load_methods(['none.py'], tmp_path)
    path = write_config('same')
    with pytest.raises(ComparisonError, match='Two configs are called same'):
        load_methods([path, path], tmp_path)


def test_what_is_done_is_not_run_again_and_other_settings_are_refused(tmp_path, write_config):
    path, no_tool = write_config('method'), tmp_path / 'none.py'
    (method,) = load_methods([path], tmp_path / 'runs')
    write_merged(method)
    record = dict(seed=1, metrics={}, costs={})
    method.seed_folder(1).mkdir()
    (method.seed_folder(1) / 'record.json').write_text(json.dumps(record))
    assert run_seed(method, 1, no_tool) == record
    assert run_seed(method, 0, no_tool) is None
    assert 'none.py' in (method.seed_folder(0) / 'run.log').read_text()

    (changed,) = load_methods([path], tmp_path / 'runs', {'train_cfg.max_epochs': 2})
    with pytest.raises(ComparisonError, match='holds runs of method with other settings'):
        run_seed(changed, 0, no_tool)
    (method.seed_folder(1) / 'record.json').unlink()  # nothing is done, so nothing is mixed
    assert run_seed(changed, 0, no_tool) is None
