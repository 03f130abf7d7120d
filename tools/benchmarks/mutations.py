"""Break one line at a time and show that a test fails.

python tools/benchmarks/mutations.py --files ranking.py noise.py --processes 2

It covers the metric, the loss and the sampler. A mutant is the source of one module with one
expression or statement changed. Each is tried in a process forked from one that has imported
everything, so a mutant costs about a second. The exit code is 1 if a mutant survives that is not
in `EQUIVALENT`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import multiprocessing
import os
import random
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # forked processes must not inherit threads

import diffusionret_mm.apis  # noqa: F401, E402  first: it prepares what the others load

# isort: split
import diffusers  # noqa: F401, E402
import pytest  # noqa: E402
from mmengine.registry import Registry  # noqa: E402

from diffusionret_mm.apis.user_errors import stop_with_message  # noqa: E402

ROOT = Path(__file__).parents[2]

# Modules, and the tests that must notice a change of them.
EVALUATION, GENERATORS = 'tests/test_evaluation', 'tests/test_models/test_generators'
LOSSES = ('tests/test_models/test_losses/test_losses.py',)
SAMPLING = (f'{GENERATORS}/test_sampling.py', f'{GENERATORS}/test_diffusion_generator.py')
MODULES = {
    'evaluation/ranking.py': (
        f'{EVALUATION}/test_ranking.py',
        f'{EVALUATION}/test_ranking_published.py',
    ),
    'evaluation/metrics.py': (
        f'{EVALUATION}/test_metrics.py',
        f'{EVALUATION}/test_post_processing.py',
        f'{EVALUATION}/test_query_bank_post_processing.py',
    ),
    'models/losses/contrastive.py': LOSSES,
    'models/losses/generation_kl.py': LOSSES,
    'models/generators/noise.py': (f'{GENERATORS}/test_noise.py', *SAMPLING),
    'models/generators/sampling.py': SAMPLING,
    'models/generators/diffusion_generator.py': (
        *SAMPLING,
        'tests/test_models/test_generators/test_pooled_sampler.py',
    ),
}

BLOCK = 'the size of a block of rows shows in memory and time alone'
EMPTY = 'without a query the table has no row to give, whatever its length'
LONGER = 'a table with more rows has the same first ones'
# Mutants that compute the same, by file and changed line, with the reason.
EQUIVALENT = {
    ('evaluation/ranking.py', '_BLOCK_ELEMENTS = 2 << 22'): BLOCK,
    ('evaluation/ranking.py', '_BLOCK_ELEMENTS = 0 << 22'): BLOCK,
    ('evaluation/ranking.py', '_BLOCK_ELEMENTS = 1 << 23'): BLOCK,
    ('evaluation/metrics.py', 'pass  # raise NotImplementedError'): (
        'both metrics have a _reduce of their own'
    ),
    (
        'evaluation/metrics.py',
        "banks = (None if bank is None else bank.to(matrices[1]) for bank in data_sample['banks'])",
    ): 'both matrices have one device and dtype',
    (
        'models/losses/generation_kl.py',
        'log_probability = F.log_softmax(self.scale * prediction, dim=(1))',
    ): 'the last dimension of a matrix is 1',
    ('models/generators/noise.py', 'num_rows = 2 << max(rows, default=0).bit_length()'): LONGER,
    ('models/generators/noise.py', 'num_rows = 1 << max(rows, default=1).bit_length()'): EMPTY,
    ('models/generators/noise.py', '@lru_cache(maxsize=5)'): (
        'the number of tables that are kept shows in memory and time alone'
    ),
}

# An operator, and those that are tried in its place.
_OPERATORS = """
Add Sub, Sub Add, Mult Div, Div Mult, FloorDiv Mult, Pow Mult, BitOr BitAnd, BitAnd BitOr, And Or,
Or And, Lt LtE Gt, LtE Lt GtE, Gt GtE Lt, GtE Gt LtE, Eq NotEq, NotEq Eq, Is IsNot, IsNot Is,
In NotIn, NotIn In
"""
OPERATORS = {
    getattr(ast, name): [getattr(ast, other) for other in others]
    for name, *others in map(str.split, _OPERATORS.split(','))
}
# Names and words, and that which is tried in their place.
_NAMES = """
min max, minimum maximum, argmin argmax, amin amax, any all, cos sin, zeros ones,
zeros_like ones_like, best worst, optimistic pessimistic, t2v v2t
"""
_PAIRS = [tuple(pair.split()) for pair in _NAMES.split(',')]
NAMES = dict(_PAIRS) | {other: name for name, other in _PAIRS}


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Args:
        module: path of the module below the package.
        line: number of the first changed line, from 1.
        before: that line as it is, stripped.
        after: that line as it becomes, stripped.
        source: the whole changed source.
    """

    module: str
    line: int
    before: str
    after: str
    source: str


def replacements(node: ast.AST) -> Iterator[str]:
    """Give the texts that may stand in place of a node."""
    if isinstance(node, ast.BinOp | ast.BoolOp):
        for operator in OPERATORS.get(type(node.op), ()):
            yield _changed(node, op=operator())
    elif isinstance(node, ast.Compare):
        for operator in OPERATORS[type(node.ops[0])]:
            yield _changed(node, ops=[operator(), *node.ops[1:]])
    elif isinstance(node, ast.UnaryOp):
        yield f'({ast.unparse(node.operand)})'
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node.value)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield NAMES[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield f'{ast.unparse(node.value)}.{NAMES[node.attr]}'
    elif isinstance(node, ast.IfExp):
        yield _changed(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield f'return None  # {ast.unparse(node.value)}'
    elif isinstance(node, ast.Expr | ast.Raise):
        yield f'pass  # {ast.unparse(node)}'


def _changed(node: ast.expr, **fields: object) -> str:
    parts = {name: getattr(node, name) for name in node._fields}
    return f'({ast.unparse(type(node)(**parts | fields))})'


def _other_constants(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield str(not value)
    elif isinstance(value, int | float):
        yield repr(value + 1)
        if value == 1:
            yield repr(value - 1)
    elif isinstance(value, str) and value in NAMES:
        yield repr(NAMES[value])


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes that run: no docstring, no annotation, no text of a message."""
    for name, value in ast.iter_fields(tree):
        if name in ('annotation', 'returns'):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_text(child):
                continue
            yield child
            yield from nodes(child)


def _is_text(node: ast.AST) -> bool:
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or isinstance(node, ast.JoinedStr)


def mutants_of(module: str) -> Iterator[Mutant]:
    """Give all mutants of a module, from top to bottom."""
    source = (ROOT / 'diffusionret_mm' / module).read_text()
    lines = source.encode().splitlines(keepends=True)
    for node in nodes(ast.parse(source)):
        for text in replacements(node):
            head = b''.join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
            end = lines[node.end_lineno - 1][node.end_col_offset :]
            tail = end + b''.join(lines[node.end_lineno :])
            changed = (head + text.encode() + tail).decode()
            before, after = (text.splitlines()[node.lineno - 1] for text in (source, changed))
            yield Mutant(module, node.lineno, before.strip(), after.strip(), changed)


def install(mutant: Mutant) -> None:
    """Put a mutant in the place of its module, wherever the package uses what is in it."""
    name = 'diffusionret_mm.' + mutant.module.removesuffix('.py').replace('/', '.')
    old = sys.modules[name]
    new = types.ModuleType(name)
    new.__file__ = old.__file__
    sys.modules[name] = new
    register = Registry._register_module
    Registry._register_module = lambda self, module, module_name=None, force=False: register(
        self, module, module_name, force=True
    )
    exec(compile(mutant.source, old.__file__, 'exec'), vars(new))
    Registry._register_module = register
    for user in [
        module for key, module in sys.modules.items() if key.startswith('diffusionret_mm')
    ]:
        for key, value in list(vars(user).items()):
            if value is old or (key in vars(old) and value is vars(old)[key] and user is not old):
                setattr(user, key, new if value is old else vars(new)[key])


class FirstFailure:
    """A plug-in of pytest that keeps the name of the first failed test."""

    name = ''

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the name."""
        if report.failed:
            self.name = self.name or report.nodeid.rpartition('/')[2]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the name of what could not be imported."""
        self.pytest_runtest_logreport(report)


def first_failure(mutant: Mutant) -> str:
    """Run the tests of a mutant; return the name of the first that fails, '' if none does."""
    options = ['-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:xdist', '--timeout=60']
    options += ['-o', 'addopts=--import-mode=importlib']  # in this process, slow tests too
    options += ['-o', 'addopts=--import-mode=importlib', f'--rootdir={ROOT}']
    failure = FirstFailure()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            install(mutant)
        except Exception as error:
            return f'import: {type(error).__name__}'
        code = pytest.main([*options, *(str(ROOT / t) for t in MODULES[mutant.module])], [failure])
    return failure.name if code in (0, 1, 2) else f'pytest: exit code {code}'


def unchanged(module: str) -> Mutant:
    """A module as it is."""
    return Mutant(module, 0, '', '', (ROOT / 'diffusionret_mm' / module).read_text())


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = {Path(module).name: module for module in MODULES}
    parser.add_argument('--files', nargs='+', choices=names, default=list(names), metavar='FILE')
    parser.add_argument('--limit', type=int, help='try so many, drawn at random')
    parser.add_argument('--seed', type=int, default=0, help='seed of that draw')
    parser.add_argument('--processes', type=int, default=1, help='mutants tried at a time')
    args = parser.parse_args()
    args.files = [names[name] for name in args.files]
    return args


@stop_with_message()
def main() -> int:
    """Run; return the exit code."""
    args = parse_args()
    mutants = [mutant for module in args.files for mutant in mutants_of(module)]
    if args.limit is not None and args.limit < len(mutants):
        chosen = set(random.Random(args.seed).sample(range(len(mutants)), args.limit))
        mutants = [mutant for index, mutant in enumerate(mutants) if index in chosen]
    counts = dict(killed=0, equivalent=0, survived=0)
    # A worker ends after one task, so each mutant has a process without another mutant.
    with multiprocessing.get_context('fork').Pool(args.processes, maxtasksperchild=1) as pool:
        for module, failed in zip(
            args.files, pool.imap(first_failure, map(unchanged, args.files)), strict=True
        ):
            if failed:
                raise SystemExit(f'{module} fails its tests without a change: {failed}.')
        for mutant, failed in zip(mutants, pool.imap(first_failure, mutants), strict=True):
            is_known = (mutant.module, mutant.after) in EQUIVALENT
            verdict = 'killed' if failed else 'equivalent' if is_known else 'survived'
            counts[verdict] += 1
            print(f'{verdict:10} {mutant.module}:{mutant.line}  {failed}')
            print(f'    - {mutant.before}\n    + {mutant.after}', flush=True)
    tried = len(mutants) - counts['equivalent']
    share = 100 * counts['killed'] / max(1, tried)
    print(', '.join(f'{count} {verdict}' for verdict, count in counts.items()), end='')
    print(f'; {share:.1f} % of those that are not equivalent are killed')
    return int(counts['survived'] > 0)


if __name__ == '__main__':
    sys.exit(main())
