"""Measure the sentences of the documents: python tools/prose.py [--commit COMMIT]."""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis.user_errors import stop_with_message

ROOT = Path(__file__).resolve().parents[1]
WRITTEN_BY_TOOLS = ('docs/model_zoo.md',)
CODE = re.compile(r'^(```|~~~).*?^\1', re.DOTALL | re.MULTILINE)
LINK = re.compile(r'!?\[([^\]]*)\]\([^)]*\)')
EQUATION = re.compile(r'\$`[^`\n]+`\$')
SPAN = re.compile(r'`[^`\n]*`')
BLOCK = re.compile(r'\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)')
END = re.compile(r'(?<=[.!?])["\')*]*\s+(?=["\'(*\[]?[A-Z0-9_])|:\s*$')
# What a rate is taken over. "Per" is the word for it.
OVER = (
    '(?:batch|caption|clip|core|day|direction|epoch|file|frame|GPU|hour|image|item|line|machine|'
    'minute|pair|process|query|row|second|sentence|span|step|text|token|video|word)'
)
NO_RATE = 'and|are|as|at|by|for|from|had|has|have|in|into|is|of|on|or|than|to|was|were|with'
FIGURE = r'(?:\d(?:[\d.,]*\d)?|[Oo]ne|[Tt]wo|[Tt]hree|[Ff]our|[Ff]ive|[Ss]ix|[Tt]en)'
RATE = re.compile(
    rf'(?<![\w/-]){FIGURE}(?:\s+(?!(?:{NO_RATE}|an?)\b)[\w/%-]+){{0,3}}\s+an?\s+{OVER}\b'
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Count the words of sentences in README and guides, and rates that are '
        'written with "a" in place of "per"'
    )
    parser.add_argument('--commit', help='measure this commit in place of the files')
    return parser.parse_args()


def documents(commit: str | None) -> dict[str, str]:
    """Return the text of README, CONTRIBUTING and all of `docs/` by name.

    Args:
        commit: the commit to read; None reads the files.

    Raises:
        ValueError: if git does not know the commit.
    """
    if commit is None:
        paths = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *(ROOT / 'docs').rglob('*.md')]
        names = sorted(path.relative_to(ROOT).as_posix() for path in paths)
        texts = {name: (ROOT / name).read_text(encoding='utf-8') for name in names}
    else:
        listed = _git('ls-tree', '-r', '--name-only', commit).splitlines()
        names = [
            name
            for name in listed
            if name in ('README.md', 'CONTRIBUTING.md') or re.fullmatch(r'docs/.*\.md', name)
        ]
        texts = {name: _git('show', f'{commit}:{name}') for name in names}
    return {name: text for name, text in texts.items() if name not in WRITTEN_BY_TOOLS}


def _git(*arguments: str) -> str:
    done = subprocess.run(['git', *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f'git {" ".join(arguments)}: {done.stderr.strip()}')
    return done.stdout


def prose_of(text: str) -> str:
    """Return a document without code, tables, headings and addresses.

    A name in backticks counts as one word.

    Args:
        text: the document, in markdown.
    """
    text = CODE.sub('', text)
    lines = (line for line in text.splitlines() if not re.match(r'\s*(\||#|:::|!\[)', line))
    return SPAN.sub('NAME', EQUATION.sub('NAME', LINK.sub(r'\1', '\n'.join(lines))))


def sentences(text: str) -> Iterator[str]:
    """Cut a document into sentences.

    Args:
        text: the document, in markdown.

    Yields:
        Each sentence in one line.
    """
    for block in BLOCK.split(prose_of(text)):
        flat = re.sub(r'^\s*(?:[-*]|\d+\.|>)\s+', '', ' '.join(block.split()))
        yield from (part for part in END.split(flat) if re.search(r'[A-Za-z]{2}', part))


def rates(text: str) -> list[str]:
    """Return the rates of a document that are written with "a", such as "3 ms a query".

    Args:
        text: the document, in markdown; tables count, code does not.
    """
    return RATE.findall(' '.join(CODE.sub('', text).split()))


def report(texts: dict[str, str]) -> str:
    """Return a line for each document, and one for all.

    Args:
        texts: documents by name.
    """
    lines = [f'{"document":38}{"sentences":>10}{"median":>8}{"longest":>9}{"over 25":>9}{"a":>4}']
    everything: list[int] = []
    found = 0
    for name, text in texts.items():
        lengths = [len(sentence.split()) for sentence in sentences(text)]
        everything += lengths
        found += len(rates(text))
        lines.append(_line(name, lengths, len(rates(text))))
    return '\n'.join([*lines, _line('all', everything, found)])


def _line(name: str, lengths: list[int], rate_count: int) -> str:
    over = sum(length > 25 for length in lengths)
    median = statistics.median(lengths) if lengths else 0
    longest = max(lengths, default=0)
    return f'{name:38}{len(lengths):10}{median:8g}{longest:9}{over:9}{rate_count:4}'


@stop_with_message()
def main() -> None:
    """Run."""
    print(report(documents(parse_args().commit)))


if __name__ == '__main__':
    main()
