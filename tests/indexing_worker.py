"""Run by processes of tests: index as tools/index.py does, with small commits, and be killed.

Arguments: config, checkpoint, folder of videos, gallery, rows a commit, and the number of the
commit before which the process kills itself; 0: it does not. Commits of spans and of files take
turns.
"""

import os
import signal
import sys

import diffusionret_mm  # noqa: F401

# isort: split
from diffusionret_mm.apis import IndexOptions, Share, TextVideoInferencer
from diffusionret_mm.search import writing
from diffusionret_mm.search.tables import Table

config, checkpoint, videos, gallery, rows, last = sys.argv[1:]
replace, calls = Table.replace, []


def replace_or_die(table, *args):
    calls.append(table)
    if len(calls) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(table, *args)


Table.replace = replace_or_die
writing.COMMIT_ROWS = int(rows)
options = dict(device='cpu', num_workers=1, show_progress=False, batch_size=min(int(rows), 8))
inferencer = TextVideoInferencer(config, checkpoint, **options)
inferencer.index(videos, gallery, IndexOptions(share=Share.of_this_process()))
