"""The commands of README and guides, as words."""

import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted(path for path in (ROOT / 'docs').rglob('*.md')),
]
BLOCK = re.compile(r'^```(?:bash|sh|console)\n(.*?)^```', re.DOTALL | re.MULTILINE)
# In a sentence or a table: `python tools/x.py ...`, in one line.
SPAN = re.compile(r'`((?:python tools/|bash tools/|text-video )[^`\n]+)`')
HERE = re.compile(r"<<'?(\w+)'?\n.*?^\1$", re.DOTALL | re.MULTILINE)
BRACES = re.compile(r'\{([^{}\s]*,[^{}\s]*)\}')


@dataclass(frozen=True)
class Command:
    """A command that a document tells its reader to type."""

    document: str
    line: str
    words: tuple[str, ...]

    @property
    def tool(self):
        """The script that it runs, or the installed command; None if it is of another program."""
        if self.words[0] == 'text-video':
            return ' '.join(self.words[:2])
        if self.words[0] not in ('python', 'bash', 'torchrun'):
            return None
        return next((word for word in self.words if word.startswith('tools/')), None)

    @property
    def arguments(self):
        """What follows the tool."""
        if self.words[0] == 'text-video':
            return self.words[2:]
        return self.words[self.words.index(self.tool) + 1 :]


def expand(word):
    """Expand braces as a shell does: 'a{b,c}' is 'ab' and 'ac'."""
    parts = BRACES.split(word)
    choices = [part.split(',') if place % 2 else [part] for place, part in enumerate(parts)]
    return [''.join(chosen) for chosen in itertools.product(*choices)]


def words_of(line):
    """Return the words of a line, without its comment and the variables before it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=';&|<>')
    lexer.whitespace_split = True
    lexer.commenters = '#'
    words = [word for found in lexer for word in expand(found)]
    assigned = itertools.takewhile(lambda word: re.match(r'[A-Z_]+=', word), words)
    return tuple(words[len(list(assigned)) :])


def lines_of(text):
    """Return the lines of the shell of a document: those of its blocks, and spans of its text."""
    blocks = [HERE.sub('', block).replace('\\\n', ' ') for block in BLOCK.findall(text)]
    outside = BLOCK.sub('', text)
    found = [line.strip() for block in blocks for line in block.splitlines()]
    spans = [span for span in SPAN.findall(outside) if len(span.split()) > 2]
    return [line for line in found if line and not line.startswith('#')] + spans


def commands_of(path):
    """Return the commands of a document."""
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding='utf-8')
    return [Command(name, line, words_of(line)) for line in lines_of(text)]


COMMANDS = [command for path in DOCUMENTS for command in commands_of(path)]
