"""What goes wrong in a run, as its user sees it."""

import re
import time
from pathlib import Path

import pytest
from processes import run_command, run_script

ROOT = Path(__file__).parents[1]
OPTIONS = [
    'train_dataloader.batch_size=6',
    'auto_scale_lr.base_batch_size=6',
    'train_cfg.max_epochs=3',
    'train_cfg.val_interval=1',
    'default_hooks.stage_switch.begin=2',
    'model.generator.num_sample_steps=5',
    'default_hooks.logger.interval=1',
    'default_hooks.report.draw=False',
]
for split in ('train', 'val', 'test'):
    counts = dict(train=6, val=1, test=1)
    OPTIONS += [
        f'{split}_dataloader.dataset.num_scenes.{part}={count}' for part, count in counts.items()
    ]


CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=['diffusionret_mm', 'faults'], allow_failed_imports=False)
default_hooks = dict(fault=dict(type='FaultHook', rank=1, nan_at=2, die_at=4))
"""


@pytest.mark.slow
def test_nan_on_one_process_is_skipped_by_all_and_its_death_ends_them(tmp_path):
    (tmp_path / 'faulty.py').write_text(
        CONFIG.format(base=str(ROOT / 'configs/diffusionret_shapes.py'))
    )
    done = run_command(
        'bash',
        ROOT / 'tools/dist_train.sh',
        'faulty.py',
        '2',
        '--cfg-options',
        *OPTIONS,
        'train_dataloader.batch_size=3',
        'default_hooks.non_finite.action=skip',
        cwd=tmp_path,
    )
    ended = time.time()
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert 'Iteration 3 (epoch 1): the loss is not finite' in output
    names = re.search(r'Videos of the batch: (.*)', output)[1].split(', ')
    assert len(set(names)) == 6  # of both processes
    assert re.findall(r'Epoch\(train\) +(\S+)', output)[-1] == '[2][1/3]'
    assert 'Signal 9 (SIGKILL) received by PID' in output
    assert re.search(r'rank +: 1', output)
    died = (tmp_path / 'died').stat().st_mtime
    assert ended - died < 60

    done = run_script(
        ROOT / 'tools/train.py',
        ROOT / 'configs/diffusionret_shapes.py',
        *('--work-dir', 'work_dirs/faulty', '--resume', 'auto', '--cfg-options'),
        *OPTIONS,
        cwd=tmp_path,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    assert 'epoch_1.pth (epoch 1, iteration 3)' in output
    assert (tmp_path / 'work_dirs/faulty/metrics.json').is_file()
