"""Time a training step on a CPU that keeps freed memory: tools/benchmarks/freed_memory.py.

A step of stage one of `configs/diffusionret_shapes.py` is timed with the C library as it is, and
again after `keep_freed_memory`, in one process. Weights, frames and texts are random.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.engine.memory import keep_freed_memory, peak_memory
from diffusionret_mm.evaluation.tables import Column, format_table, label

CONFIG = Path(__file__).parents[2] / 'configs/diffusionret_shapes.py'
FRAMES, WORDS, SIZE = 4, 32, 64  # of the config


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Time a training step with and without keeping freed memory',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--batch', type=int, default=64, help='videos of a step')
    parser.add_argument('--repeats', type=int, default=15, help='steps that are timed')
    return parser.parse_args()


def training_step(batch: int) -> Callable[[], None]:
    """Return a function that makes one step of stage one on random videos and texts."""
    cfg = read_config_file(CONFIG)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    cfg.model.stage = 'discrimination'
    model = MODELS.build(cfg.model).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    ids = torch.randint(1, 40000, (batch, WORDS))
    ids[:, -1] = 49407  # end of text
    inputs = dict(
        ids=ids,
        text_mask=torch.ones(batch, WORDS, dtype=torch.bool),
        frames=torch.randn(batch, FRAMES, 3, SIZE, SIZE),
        frame_mask=torch.ones(batch, FRAMES, dtype=torch.bool),
        video_of_text=torch.arange(batch),
        video_index=torch.arange(batch),
    )

    def step() -> None:
        sum(model(inputs, mode='loss').values()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def measure(step: Callable[[], None], repeats: int) -> tuple[float, float, float, float]:
    """Return the median seconds of a step, user and system seconds, and the peak memory in MB."""
    for _ in range(3):
        step()
    before, seconds = resource.getrusage(resource.RUSAGE_SELF), []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return statistics.median(seconds), user / repeats, system / repeats, peak_memory() / 1e6


@stop_with_message()
def main() -> None:
    """Run.

    Raises:
        SystemExit: if the C library is not glibc.
    """
    args = parse_args()
    step = training_step(args.batch)
    returned = measure(step, args.repeats)
    if not keep_freed_memory():
        raise SystemExit('The C library of this system has no such setting: glibc alone has it.')
    kept = measure(step, args.repeats)
    columns = [
        label('freed memory'),
        Column('step', 's', number='.3f'),
        Column('user', 's', number='.3f'),
        Column('system', 's', number='.3f'),
        Column('peak', 'MB', number=',.0f'),
    ]
    print(format_table(columns, [('returned', *returned), ('kept', *kept)]))
    print(f'ratio of the steps: {returned[0] / kept[0]:.2f}')


if __name__ == '__main__':
    main()
