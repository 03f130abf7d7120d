"""The command line, as a user types it."""

import json
import os
from pathlib import Path

import pytest
import torch
from processes import run_command, run_ranks, run_script

ROOT = Path(__file__).parents[1]
SMALL = [
    'train_dataloader.batch_size=6',
    'auto_scale_lr.base_batch_size=6',
    'train_dataloader.dataset.num_scenes.train=8',
    'train_dataloader.dataset.num_scenes.val=2',
    'train_dataloader.dataset.num_scenes.test=2',
    'train_cfg.max_epochs=2',
    'train_cfg.val_interval=1',
    'default_hooks.stage_switch.begin=1',
    'model.generator.num_sample_steps=5',
]
for split in ('val', 'test'):
    SMALL += [
        f'{split}_dataloader.dataset.num_scenes.{part}={count}'
        for part, count in (('train', 8), ('val', 2), ('test', 2))
    ]


def checked(done, fails=False):
    """What a process printed, once its exit status is as it should be."""
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, output[-3000:]
    return output


def config(name):
    return str(ROOT / 'configs' / name)


COMMANDS = sorted(ROOT.glob('diffusionret_mm/commands/[a-su-z]*.py'))
FILES = [*sorted(ROOT.glob('tools/**/*.py')), *COMMANDS]
SCRIPTS = [path for path in FILES if 'def main' in path.read_text()]


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.stem)
def test_errors_of_users_end_every_tool_with_a_sentence(script):
    assert '@stop_with_message(' in script.read_text()


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    """A run of both stages by two processes, and what it printed."""
    folder = tmp_path_factory.mktemp('run')
    done = run_command(
        'bash',
        ROOT / 'tools/dist_train.sh',
        config('diffusionret_shapes.py'),
        '2',
        '--cfg-options',
        *SMALL,
        'train_dataloader.batch_size=3',
        cwd=folder,
    )
    return folder, checked(done)


@pytest.mark.slow
def test_two_processes_train_and_one_gets_the_same_test(two_processes):
    folder, output = two_processes
    work_dir = folder / 'work_dirs/diffusionret_shapes'
    metrics = json.loads((work_dir / 'metrics.json').read_text())
    assert 'text -> video' in output
    assert output.count('Report: ') == 1  # the main process writes it, alone
    assert 'Hardest failures' in (work_dir / 'report.html').read_text()
    best = max(work_dir.glob('best_*.pth'), key=lambda path: int(path.stem.split('_')[-1]))
    done = run_script(
        ROOT / 'tools/test.py',
        config('diffusionret_shapes.py'),
        best,
        *('--out', 'one.json', '--dump', 'scores.npz', '--cfg-options'),
        *SMALL,
        'default_hooks.report.draw=False',
        cwd=folder,
        fresh=True,
    )
    checked(done)
    assert json.loads((folder / 'one.json').read_text()) == pytest.approx(metrics)
    assert (folder / 'scores.npz').is_file()


def test_two_processes_have_the_gradients_of_one(tmp_path):
    """Updates from a global batch do not depend on how it is split, unless as published."""

    def gradients(processes, rule):
        worker = ROOT / 'tests/gather_worker.py'
        checked(run_ranks(processes, worker, 'gradients.pt', rule, cwd=tmp_path))
        return torch.load(tmp_path / 'gradients.pt')

    one, two, published = gradients(1, 'exact'), gradients(2, 'exact'), gradients(2, 'published')
    assert one.keys() == two.keys() == published.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5)
        scale = 0.5 if name.startswith(('words', 'frames')) else 1.0
        torch.testing.assert_close(published[name], one[name] * scale, rtol=1e-4, atol=1e-5)


def test_mistakes_of_the_command_line(tmp_path):
    train = ROOT / 'tools/train.py'
    done = run_script(train, 'none.py', cwd=tmp_path, fresh=True)
    assert 'There is no config none.py' in checked(done, fails=True)
    if not torch.cuda.is_available():
        done = run_script(train, config('diffusionret_shapes.py'), '--amp', cwd=tmp_path)
        assert '--amp needs a GPU' in checked(done, fails=True)
    for script in ('dist_test.sh', 'dist_index.sh'):
        done = run_command('bash', ROOT / 'tools' / script, cwd=tmp_path)
        assert 'usage:' in checked(done, fails=True)


@pytest.mark.parametrize(
    ('script', 'arguments', 'tool'),
    [
        ('slurm_train.sh', ['c.py', '--seed', '3'], 'train.py c.py --launcher slurm --seed 3'),
        ('slurm_test.sh', ['c.py', 'c.pth'], 'test.py c.py c.pth --launcher slurm'),
        ('slurm_test.sh', ['c.py'], 'test.py c.py --launcher slurm'),
    ],
)
def test_slurm_scripts(tmp_path, script, arguments, tool):
    """What they hand to srun, which stands in for Slurm here."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    environment = dict(
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        GPUS='16',
        SRUN_ARGS='--time 60 --exclude node1',
    )
    command = ['bash', ROOT / 'tools' / script, 'gpu', 'job']
    output = checked(run_command(*command, *arguments, env=environment))
    assert '--partition=gpu --job-name=job --gres=gpu:8 --ntasks=16' in output
    assert '--time 60 --exclude node1 python -u' in output
    assert output.strip().endswith(tool)
    assert 'usage:' in checked(run_command(*command, env=environment), fails=True)


@pytest.mark.parametrize('model', [['c.py', 'c.pth'], ['c.py']])
def test_a_checkpoint_may_be_left_out_where_gpus_follow(tmp_path, model):
    torchrun = tmp_path / 'torchrun'
    torchrun.write_text('#!/bin/sh\necho "$@"\n')
    torchrun.chmod(0o755)
    environment = dict(PATH=f'{tmp_path}:{os.environ["PATH"]}')
    command = ['bash', ROOT / 'tools/dist_test.sh', *model]
    output = checked(run_command(*command, '2', '--out', 'm.json', env=environment))
    assert '--nproc_per_node=2' in output
    expected = f'test.py {" ".join(model)} --launcher pytorch --out m.json'
    assert output.strip().endswith(expected)
    assert 'usage:' in checked(run_command(*command, env=environment), fails=True)


def test_slurm_tells_each_process_its_share(tmp_path):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nwhile [ "$1" != bash ]; do echo "$1"; shift; done\n"$@"\n')
    python = tmp_path / 'python'
    names = '$RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE'
    python.write_text(f'#!/bin/sh\necho "{names}" "$@"\n')
    for file in (srun, python):
        file.chmod(0o755)
    environment = dict(
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        GPUS='16',
        SLURM_PROCID='9',
        SLURM_NTASKS='16',
        SLURM_LOCALID='1',
        SLURM_NTASKS_PER_NODE='8',
    )
    command = ['bash', ROOT / 'tools/slurm_index.sh', 'gpu', 'job']
    arguments = ['a folder', 'gallery', '--batch-size', '8']
    output = checked(run_command(*command, *arguments, env=environment))
    assert '--gres=gpu:8\n--ntasks=16\n' in output
    assert '\n9 16 1 8 -u ' in output
    assert output.strip().endswith('index.py a folder gallery --batch-size 8')
    assert 'usage:' in checked(run_command(*command, env=environment), fails=True)
