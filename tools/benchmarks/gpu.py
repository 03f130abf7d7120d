"""Measure what needs a GPU, and write it to gpu.md: bash tools/benchmarks/gpu.sh.

`--device cpu` goes the same way at small sizes. It shows that the script runs, and its figures mean
nothing. A part that fails is named on the page, and the others follow.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import measuring
import torch
from gpu_methods import run_by_one_process, train_methods
from gpu_parts import Table, encode_images, match_features, train_stage_one, train_stage_two
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import format_markdown_table

COMMAND = 'bash tools/benchmarks/gpu.sh'
PARTS = {
    'Mixed precision of every method': train_methods,
    'A run by one process of a group': run_by_one_process,
    'A training step of stage one': train_stage_one,
    'Matching': match_features,
    'An epoch of stage two': train_stage_two,
    'Encoding': encode_images,
}
REHEARSAL = (
    'This is a rehearsal on the CPU at small sizes. It shows that the script runs; its figures '
    'mean nothing.'
)
SMALL_MATRIX = 256  # rows and columns, in a rehearsal


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Measure what needs a GPU, and write gpu.md')
    parser.add_argument('--out', type=Path, default=Path('docs'), help='folder to write into')
    parser.add_argument('--tests', type=Path, metavar='FILE', help="pytest's --junitxml")
    parser.add_argument(
        '--device', default='cuda', choices=['cuda', 'cpu'], help='cpu: rehearse at small sizes'
    )
    return parser.parse_args()


@dataclass
class Part:
    """What came of a part of the measurements.

    Args:
        title: what it is about.
        tables: what was measured.
        error: why it failed; empty if it did not.
        seconds: how long it took.
        gpu_mb: peak of the GPU's memory that tensors took; None on the CPU.
    """

    title: str
    tables: list[Table] = field(default_factory=list)
    error: str = ''
    seconds: float = 0.0
    gpu_mb: float | None = None

    def to_markdown(self) -> str:
        """Write the section of the page."""
        cost = f'The whole part took {self.seconds:,.0f} s'
        if self.gpu_mb is not None:
            cost += f', and {self.gpu_mb:,.0f} MB of the GPU at most'
        tables = [_table_to_markdown(table) for table in self.tables]
        errors = [f'**Failed**: {self.error}'] if self.error else []
        return '\n\n'.join([f'## {self.title}', *tables, *errors, f'{cost}.'])


def _table_to_markdown(table: Table) -> str:
    return f'{table.note}\n\n{format_markdown_table(table.columns, table.rows)}'.rstrip()


def run_part(title: str, device: str, folder: Path) -> Part:
    """Run a part of the measurements; an error becomes part of the page."""
    part = Part(title)
    with _costs(part, device):
        try:
            for table in PARTS[title](device, folder):
                part.tables.append(table)
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            part.error = ' '.join(f'{type(error).__name__}: {error}'.split())
    print(part.to_markdown(), end='\n\n', flush=True)
    return part


@contextmanager
def _costs(part: Part, device: str) -> Iterator[None]:
    is_gpu = device == 'cuda'
    if is_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    yield
    part.seconds = time.perf_counter() - start
    part.gpu_mb = torch.cuda.max_memory_allocated() / 1e6 if is_gpu else None


def describe_machine(device: str) -> str:
    """Say what was measured on."""
    names = [f'torch {torch.__version__}', f'Python {platform.python_version()}']
    if device == 'cuda':
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        rate = measuring.machine_rate(device, torch.bfloat16) / 1e12
        names += [f'CUDA {torch.version.cuda}']
        names += [f'{torch.cuda.get_device_name(0)}, {memory:,.0f} GB']
        names += [f'{rate:,.0f} TFLOP/s in bfloat16 products of 4,096 x 4,096 matrices']
    return f'{date.today():%Y-%m-%d}: {"; ".join(names)}.'


def describe_tests(file: Path | None) -> tuple[str, bool]:
    """Say how many tests passed, of a file of pytest, and whether that is all well."""
    if file is None or not file.is_file():
        return 'The tests were not run.', False
    suite = next(ElementTree.parse(file).iter('testsuite'))
    total, failed, skipped = (
        sum(int(suite.attrib[name]) for name in names)
        for names in (['tests'], ['failures', 'errors'], ['skipped'])
    )
    passed = total - failed - skipped
    text = f'`pytest -m gpu`: {passed} passed, {failed} failed, {skipped} skipped.'
    return text, passed > 0 and not failed


def write_page(args: argparse.Namespace, machine: str, tests: str, parts: list[Part]) -> None:
    """Write gpu.md and gpu.json, after each part anew."""
    head = ['# On a GPU', *([REHEARSAL] if args.device == 'cpu' else []), machine]
    head += [f'```bash\n{COMMAND}\n```', '## Tests', tests]
    page = '\n\n'.join([*head, *(part.to_markdown() for part in parts)])
    (args.out / 'gpu.md').write_text(page + '\n', encoding='utf-8')
    figures = [asdict(part) for part in parts]
    (args.out / 'gpu.json').write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


@stop_with_message()
def main() -> int:
    """Run; the exit status is 1 if a part or a test failed."""
    args = parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit('There is no GPU; --device cpu rehearses the script at small sizes.')
    if args.device == 'cpu':
        measuring.MATRIX_SIZE = SMALL_MATRIX
    args.out.mkdir(parents=True, exist_ok=True)
    MMLogger.get_instance('gpu', log_level='ERROR')  # else a line for each weight
    machine, (tests, passed) = describe_machine(args.device), describe_tests(args.tests)
    parts: list[Part] = []
    with DefaultScope.overwrite_default_scope('mmaction'), tempfile.TemporaryDirectory() as folder:
        for number, title in enumerate(PARTS):
            own = Path(folder, str(number))
            own.mkdir()
            parts.append(run_part(title, args.device, own))
            write_page(args, machine, tests, parts)
    is_well = not any(part.error for part in parts) and (passed or args.device == 'cpu')
    return 0 if is_well else 1


if __name__ == '__main__':
    raise SystemExit(main())
