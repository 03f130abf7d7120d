"""Search one gallery by one process and by several: tools/benchmarks/index_shares.py --folder DIR.

A gallery of random features, as of gallery.py, gets an index of several segments. It is searched by
one process, which looks through all of them, and by more, each of which looks through its own. The
results have to be the same. The model has random weights. DIR must not exist and is deleted
afterwards.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import shutil
import threading
import time
from functools import partial
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from gallery import BEST, add_options, build, build_model, draw_queries, in_own_process
from measuring import memory_mb, quantiles, size_gb
from torch.distributed import TCPStore

from diffusionret_mm.apis import Share
from diffusionret_mm.apis.serving import search_by_shares
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import Column, format_table
from diffusionret_mm.search import Gallery, Searchers, search_texts
from diffusionret_mm.search.candidates import NUM_CANDIDATES
from diffusionret_mm.search.pooling import pool_texts

WARM_PASSES = 3
WATCH_SECONDS = 0.1
COLUMNS = {
    'step 1, p50': 'pooled_ms_p50',
    'step 1, p95': 'pooled_ms_p95',
    'per query, p50': 'query_ms_p50',
    'index in memory, rank 0': 'first_mb',
    'of another rank, at most': 'other_mb',
    'same rows': 'same_percent',
}
UNITS = ('ms', 'ms', 'ms', 'MB', 'MB', '%')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Search an index in segments by one process and by several',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_options(parser, spans=60_000)
    parser.set_defaults(segment_rows=12_000)
    parser.add_argument(
        '--processes', type=int, nargs='+', default=[1, 2], help='numbers of processes'
    )
    return parser.parse_args()


def search_by(args: argparse.Namespace, count: int) -> dict[str, Any]:
    """Search by so many processes; return times, memory, and the results of rank 0."""
    store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)  # any free port
    with multiprocessing.get_context('spawn').Pool(count) as pool:
        run = partial(run_rank, args, count, store.port)
        first, *others = pool.map(run, range(count), chunksize=1)
    grown = max((other['grown_mb'] for other in others), default=None)
    return dict(first, first_mb=first['grown_mb'], other_mb=grown)


def run_rank(args: argparse.Namespace, count: int, port: int, rank: int) -> dict[str, Any]:
    """Be one of the processes; return by how much its private memory has grown, and more."""
    os.environ |= dict(
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
        WORLD_SIZE=str(count),
        RANK=str(rank),
        TORCHELASTIC_USE_AGENT_STORE='True',
    )
    found: dict[str, Any] = {}
    before = private_mb()
    with Watch() as watch:  # a process that has done its part keeps nothing
        search_by_shares(
            str(args.folder), Share(rank, count, rank, count), partial(measure, args, found)
        )
    return dict(grown_mb=watch.most_mb - before) | found


@torch.no_grad()
def measure(args: argparse.Namespace, found: dict[str, Any], searchers: Searchers) -> None:
    """Time step 1 and whole queries, on rank 0."""
    model, texts = build_model(args.width), draw_queries(args)
    pooled = pool_texts(model, texts).numpy()
    before = private_mb()
    gallery = Gallery(args.folder, searchers=searchers)
    snapshot, seconds = gallery.latest(), []
    for _ in range(WARM_PASSES + 1):
        for row in range(len(texts)):
            start = time.perf_counter()
            snapshot.candidates(pooled[row : row + 1], NUM_CANDIDATES)
            seconds.append(time.perf_counter() - start)
    found |= quantiles('pooled', seconds[len(texts) :])
    found['grown_mb'] = private_mb() - before
    results = [
        search_texts(model, [''], texts[row : row + 1], gallery, BEST)[0]
        for _ in range(2)  # the first pass warms up
        for row in range(len(texts))
    ][len(texts) :]
    found |= quantiles('query', [sum(result.seconds.values()) for result in results])
    found['hits'] = [[(hit.span.id, hit.score) for hit in result.hits] for result in results]


class Watch:
    """Finds the largest private memory of this process in a block, by looking again and again."""

    def __enter__(self) -> Watch:
        """Begin."""
        self.most_mb = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(WATCH_SECONDS):
            self.most_mb = max(self.most_mb, memory_mb('RssAnon'))


def private_mb() -> float:
    """Private memory of this process, without what it has freed (Linux, glibc)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return memory_mb('RssAnon')


def compare(figures: dict[int, dict[str, Any]]) -> None:
    """Say which share of the hits, with their scores, is that of the first number of processes."""
    wanted = next(iter(figures.values()))['hits']
    for each in figures.values():
        pairs = [
            left == right
            for hits, others in zip(each['hits'], wanted, strict=True)
            for left, right in zip(hits, others, strict=True)
        ]
        each['same_percent'] = 100 * sum(pairs) / len(pairs)
    for each in figures.values():
        del each['hits']


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    if args.folder.exists():
        raise ValueError(f'{args.folder} exists; give a folder that does not.')
    try:
        in_own_process(build, args)
        parts = Gallery(args.folder).latest().parts
        index_mb = 1000 * size_gb(args.folder / 'spans.lance' / '_indices')
        by_count = {count: search_by(args, count) for count in args.processes}
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    compare(by_count)
    columns = [Column('processes')]
    columns += [
        Column(title, unit, number='.1f') for title, unit in zip(COLUMNS, UNITS, strict=True)
    ]
    rows = [(count, *(each[name] for name in COLUMNS.values())) for count, each in by_count.items()]
    title = f'{args.spans:,} spans, {len(parts)} segments, index on disk {index_mb:,.1f} MB'
    print(format_table(columns, rows, title))
    if args.json:
        figures = dict(spans=args.spans, parts=len(parts), index_mb=index_mb, processes=by_count)
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()
