"""Run by processes of tests: index windows of a second each, and be killed half way through a file.

Arguments: config, checkpoint, folder of videos, gallery, and the name of the file.
"""

import os
import signal
import sys

import diffusionret_mm  # noqa: F401

# isort: split
from diffusionret_mm.apis import IndexOptions, TextVideoInferencer, index_spans
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search import writing

config, checkpoint, videos, gallery, name = sys.argv[1:]
take, calls = index_spans._SpanRun.take, []


def take_or_die(run, event):
    take(run, event)
    if os.path.basename(event.task) == name and event.error is None:
        calls.append(event)
        if len(calls) >= 2 and run._filler.num_added == len(run._filler.files) - 1:
            os.kill(os.getpid(), signal.SIGKILL)


index_spans._SpanRun.take = take_or_die
writing.COMMIT_ROWS = 1
inferencer = TextVideoInferencer(
    config, checkpoint, device='cpu', num_workers=2, show_progress=False
)
inferencer.index(videos, gallery, IndexOptions(moments=Moments('windows', 1, 1)))
