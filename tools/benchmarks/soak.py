"""Kill a run again and again: its end must be that of a run never killed.

python tools/benchmarks/soak.py --kills 20

A small run of configs/diffusionret_shapes.py goes through both stages twice: once undisturbed, and
once killed by SIGKILL at random moments of every phase, each time continued by `--resume auto`. The
metrics, the last checkpoint and the best ones of both must be equal to the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
import torch

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.storage.checkpoints import load_checkpoint_file

ROOT = Path(__file__).parents[2]
NAME = 'diffusionret_shapes'
# 24 videos in batches of 6: 4 iterations per epoch and 4 epochs per stage; every other epoch ends
# with a checkpoint.
EPOCH, STAGE, EPOCHS = 4, 4, 8
TOTAL = EPOCH * EPOCHS
OPTIONS = [
    'train_dataloader.batch_size=6',
    'auto_scale_lr.base_batch_size=6',
    'model.generator.num_sample_steps=5',
    f'train_cfg.max_epochs={EPOCHS}',
    'train_cfg.val_interval=1',
    f'default_hooks.stage_switch.begin={STAGE}',
    'default_hooks.checkpoint.within_epoch=2',
    'default_hooks.logger.interval=1',
    'default_hooks.report.draw=False',
    *(
        f'{loader}_dataloader.dataset.num_scenes.{split}={count}'
        for loader in ('train', 'val', 'test')
        for split, count in (('train', 8), ('val', 2), ('test', 2))
    ),
]
# What is going on, and what shows it: a line of the log, or files that are being written.
LINES = {
    'training': r'Epoch\(train\)',
    'validation': r'Epoch\(val\)',
    'switch': 'Stage generation starts from',
    'test': rf'Load checkpoint from \S*{NAME}/best_',
}
FILES = {
    'rendering': 'data/.shapes.*.tmp/videos/*',
    'checkpoint': f'work_dirs/{NAME}/.*.pth.*.tmp',
    'cache': f'work_dirs/{NAME}/.feature_cache.*.tmp',
}
PHASES = ('checkpoint', 'cache', 'training', 'switch', 'rendering', 'validation', 'start', 'test')
# When a phase comes, in iterations; the others come all the time.
MOMENTS = dict(rendering=0, switch=EPOCH * STAGE + 0.1, cache=EPOCH * STAGE + 0.2, test=TOTAL + 1)


@dataclass
class Kill:
    """A kill that is planned, and then how it went.

    Args:
        phase: what is to be going on.
        iteration: not before this iteration.
        delay: seconds after the phase was seen, or after the start of the process.
        seconds: age of the process when it was killed.
        reached: iteration that it had trained.
        state: checkpoint that the next start goes on from, and unfinished files.
    """

    phase: str
    iteration: float
    delay: float
    seconds: float = 0.0
    reached: int = 0
    state: str = ''


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=20, help='number of kills')
    parser.add_argument('--seed', type=int, default=0, help='seed of the moments')
    parser.add_argument('--folder', type=Path, help='empty folder to keep both runs in')
    parser.add_argument('--json', type=Path, metavar='FILE', help='file for the kills')
    return parser.parse_args()


def plan(num_kills: int, seed: int) -> list[Kill]:
    """Draw the moments, in the order in which a run comes to them."""
    rng = np.random.default_rng(seed)
    kills = []
    for number in range(num_kills):
        phase = PHASES[number % len(PHASES)]
        moment = rng.uniform(0, TOTAL - 2 * EPOCH)
        longest = 2 if phase == 'start' else 0.05
        kills.append(Kill(phase, MOMENTS.get(phase, moment), rng.uniform(0, longest)))
    return sorted(kills, key=lambda kill: kill.iteration)


class Run:
    """One start of the training tool in a folder.

    Args:
        folder: folder of data and work dir.
        resume: whether to continue.
    """

    def __init__(self, folder: Path, resume: bool) -> None:
        self.folder = folder
        self.began = time.perf_counter()
        self.iteration = 0
        self._left_before = self._unfinished()
        self._log = folder / f'{len([*folder.glob("*.log")]):02d}.log'
        self._log.touch()
        # A fork of this process, which has imported everything: that takes longer than the run.
        self.process = get_context('fork').Process(target=self._train, args=[resume])
        self.process.start()

    def _train(self, resume: bool) -> None:
        """Be `python tools/train.py`, in a process of its own."""
        os.chdir(self.folder)
        with self._log.open('ab') as log:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(log.fileno(), stream.fileno())
                stream.reconfigure(line_buffering=True)
        tool = str(ROOT / 'tools/train.py')
        sys.argv = [tool, str(ROOT / f'configs/{NAME}.py'), '--cfg-options', *OPTIONS]
        sys.argv += ['--resume', 'auto'] if resume else []
        runpy.run_path(tool, run_name='__main__')

    def wait_for(self, kill: Kill) -> bool:
        """Wait until a kill is due; False if the process ended before."""
        with self._log.open('rb') as log:
            while self.process.is_alive():
                lines = log.read().decode(errors='replace')
                self._follow(lines)
                if self._shows(kill, lines):
                    time.sleep(0 if kill.phase == 'start' else kill.delay)
                    return self.process.is_alive()
                time.sleep(0.001)
        return False

    def kill(self) -> None:
        """Kill the process, unless it has ended."""
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def finish(self) -> None:
        """Wait for the end; raises RuntimeError if it is an error."""
        try:
            self.process.join()
        finally:
            self.kill()  # where this program was interrupted
        if self.process.exitcode != 0:
            raise RuntimeError(f'{self._log} ends with an error:\n{self._log.read_text()[-3000:]}')

    def _follow(self, lines: str) -> None:
        for epoch, step in re.findall(r'Epoch\(train\)\s+\[(\d+)\]\[(\d+)/', lines):
            self.iteration = (int(epoch) - 1) * EPOCH + int(step)
        for iteration in re.findall(r'resumed epoch: \d+, iter: (\d+)', lines):
            self.iteration = int(iteration)

    def _shows(self, kill: Kill, lines: str) -> bool:
        if kill.phase == 'start':
            return time.perf_counter() - self.began >= kill.delay
        if kill.phase not in MOMENTS and self.iteration < kill.iteration:
            return False
        if kill.phase in LINES:
            return bool(re.search(LINES[kill.phase], lines))
        return bool(self._unfinished(FILES[kill.phase]) - self._left_before)

    def _unfinished(self, *patterns: str) -> set[Path]:
        """Files that are being written, or were when an earlier start was killed."""
        patterns = patterns or FILES.values()
        return {path for pattern in patterns for path in self.folder.glob(pattern)}


def undisturbed(folder: Path) -> float:
    """Run to the end; return the seconds it took."""
    folder.mkdir(parents=True)
    run = Run(folder, resume=False)
    run.finish()
    return time.perf_counter() - run.began


def disturbed(folder: Path, kills: list[Kill]) -> Iterator[Kill]:
    """Run with kills, then to the end.

    Yields:
        Each kill when it is done.
    """
    folder.mkdir(parents=True)
    for kill in kills:
        run = Run(folder, resume=True)
        try:
            is_due = run.wait_for(kill)
        finally:
            run.kill()
        if not is_due:
            run.finish()
            raise RuntimeError(f'The run ended before the kill in {kill.phase}; see {folder}.')
        kill.seconds = time.perf_counter() - run.began
        kill.reached = run.iteration
        kill.state = state_of(folder)
        yield kill
    Run(folder, resume=True).finish()


def state_of(folder: Path) -> str:
    """Name the newest checkpoint and the files that were not finished."""
    pointer = folder / f'work_dirs/{NAME}/last_checkpoint'
    newest = Path(pointer.read_text()).name if pointer.is_file() else 'none'
    unfinished = list(folder.rglob('.*.tmp'))
    return ', '.join([newest, *(path.name for path in unfinished)])


def differences(whole: Path, killed: Path) -> list[str]:
    """Return what differs between the ends of two runs."""
    one, other = (folder / 'work_dirs' / NAME for folder in (whole, killed))
    wrong = []
    metrics = [json.loads((folder / 'metrics.json').read_text()) for folder in (one, other)]
    wrong += [key for key in metrics[0] if metrics[0][key] != metrics[1].get(key)]
    names = [sorted(path.name for path in folder.glob('*.pth')) for folder in (one, other)]
    if names[0] != names[1]:
        wrong.append(f'checkpoints {names[0]} and {names[1]}')
    for name in set(names[0]) & set(names[1]):
        states = [load_checkpoint_file(folder / name) for folder in (one, other)]
        for part in ('state_dict', 'optimizer', 'param_schedulers'):
            if not same(states[0].get(part), states[1].get(part)):
                wrong.append(f'{part} of {name}')
    return wrong


def same(one: object, other: object) -> bool:
    """Whether two nested states are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    folder = (args.folder or Path(tempfile.mkdtemp(prefix='soak-'))).resolve()
    start = time.perf_counter()
    print(f'Undisturbed: {undisturbed(folder / "whole"):.1f} s, {TOTAL} iterations', flush=True)
    kills = plan(args.kills, args.seed)
    for number, kill in enumerate(disturbed(folder / 'killed', kills), start=1):
        print(
            f'Kill {number} in {kill.phase}, after {kill.seconds:.1f} s at iteration '
            f'{kill.reached}; left: {kill.state}',
            flush=True,
        )
    wrong = differences(folder / 'whole', folder / 'killed')
    if args.json:
        args.json.write_text(json.dumps([vars(kill) for kill in kills], indent=1) + '\n')
    seconds = time.perf_counter() - start
    verdict = f'DIFFERENT: {"; ".join(wrong)}' if wrong else 'metrics and weights are equal'
    print(f'{len(kills)} kills, {seconds:.0f} s: {verdict} ({folder})')
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
