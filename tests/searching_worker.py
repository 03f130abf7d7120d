"""Run by processes of tests: search a gallery by shares, as tools/search.py does, without a model.

Arguments: the gallery, the file that rank 0 writes rows and distances to, and the rank that kills
itself when it is asked for the second time (-1: none).
"""

import json
import os
import signal
import sys

import diffusionret_mm  # noqa: F401

# isort: split
import numpy as np

from diffusionret_mm.apis import Share
from diffusionret_mm.apis.serving import search_by_shares
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.search import Gallery, candidates, ranks

folder, output, dying = sys.argv[1:]
share, calls = Share.of_this_process(), []


def search_parts(*args):
    calls.append(args)
    if len(calls) == 2 and share.rank == int(dying):
        os.kill(os.getpid(), signal.SIGKILL)
    return candidates.search_parts(*args)


def search(searchers):
    gallery = Gallery(folder, searchers=searchers)
    width = gallery.facts.layout['pooled'].shape[0]
    queries = np.random.default_rng(9).standard_normal((6, width)).astype(np.float32)
    found = []
    for where in (None, "path < '1'"):
        for each in gallery.latest().candidates(queries, 40, where):
            found.append([span.path for span in each.spans])
    with open(output, 'w') as file:
        json.dump(found, file)


ranks.search_parts = search_parts
stop_with_message()(search_by_shares)(folder, share, search)
