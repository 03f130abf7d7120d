"""Compare with the published implementation: python tools/check_parity.py GOLDEN_DIR."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmengine.logging import MMLogger

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import format_table, label

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests'))
from parity import ParityReport, check_parity  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Compare with recorded outputs of the published implementation'
    )
    parser.add_argument('golden', metavar='GOLDEN_DIR', help='directory of recorded arrays')
    return parser.parse_args()


def format_parity(report: ParityReport) -> str:
    """Every quantity in a line of a table, then what is wrong."""
    columns = map(label, ('file', 'quantity', 'shape', 'max abs', 'max rel', 'tolerance', ''))
    rows = []
    for check in report.checks:
        shape = 'x'.join(map(str, check.shape)) or 'scalar'
        numbers = (f'{check.max_abs:.1e}', f'{check.max_rel:.1e}', check.tolerance)
        verdict = 'pass' if check.passed else 'FAIL'
        rows.append((check.file, check.quantity, shape, *numbers, verdict))
    lines = [format_table([*columns], rows)]
    failed = [f'{check.file}: {check.quantity}' for check in report.checks if not check.passed]
    lines.append(
        f'{len(report.checks)} quantities compared, {len(failed)} failed '
        '(max rel: max abs as a share of the largest recorded absolute value)'
    )
    for title, names in (
        ('Failed', failed),
        ('Not compared', report.not_compared),
        ('Files not known', report.not_known),
    ):
        if names:
            lines += [f'{title}:', *(f'  {name}' for name in names)]
    return '\n'.join(lines)


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    report = check_parity(args.golden)
    print(format_parity(report))
    sys.exit(0 if report.passed else 1)


if __name__ == '__main__':
    main()
