"""Index videos on a Ray cluster: python tools/index_ray.py VIDEOS... GALLERY.

It is for where decoding needs more CPUs than machines with GPUs have. Tasks decode and commit rows,
actors encode; Ray runs again what dies. Every machine needs this project, and videos, checkpoint
and gallery at the same paths. RAY_ADDRESS names the cluster; without it Ray starts here.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np

from diffusionret_mm.apis import Share
from diffusionret_mm.apis.decoding import decode_in_parallel
from diffusionret_mm.apis.index_subtitles import index_subtitles
from diffusionret_mm.apis.index_whole import encode_videos
from diffusionret_mm.apis.index_work import Work, find_work
from diffusionret_mm.apis.indexing import Outcome, log_run, refuse_to_cut
from diffusionret_mm.apis.indexing_options import add_indexing_options, check_indexing
from diffusionret_mm.apis.model_choice import build_inferencer
from diffusionret_mm.apis.user_errors import GO_ON, stop_with_message
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.extras import import_extra
from diffusionret_mm.search import Facts, Gallery, GalleryWriter, Libraries, Span, facts_of
from diffusionret_mm.search.maintenance import maintain
from diffusionret_mm.search.schema import layout_of
from diffusionret_mm.search.writing import COMMIT_ROWS

if TYPE_CHECKING:
    import pyarrow

VIDEOS_PER_TASK = 16


def pack(rows: Sequence[Any]) -> pyarrow.Table:
    """Make a table with a row for each object."""
    pa = import_extra('pyarrow', 'search')
    return pa.table(dict(row=pa.array([pickle.dumps(row) for row in rows], pa.large_binary())))


def unpack(table: pyarrow.Table) -> list[Any]:
    """Return the objects that `pack` was given."""
    return [pickle.loads(row) for row in table['row'].to_pylist()]


def decode(table: pyarrow.Table, transforms: Any, seconds: float | None) -> pyarrow.Table:
    """Decode videos, one after the other, in a process beside the task: it may crash or hang."""
    files = dict(unpack(table))
    limit = partial(time_limit, seconds=seconds)
    results = decode_in_parallel(transforms, list(files), 1, False, limit)
    return pack([(path, files[path], item, error) for path, item, error in results])


class Encoder:
    """An actor with a model.

    Args:
        args: the command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        facts = facts_of(args.gallery)
        self.inferencer = build_inferencer(args, facts, batch_size=args.batch_size)

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """Put the duration and the features in the place of what was decoded."""
        rows = unpack(table)
        items = [item for _, _, item, _ in rows if item]
        if items:
            ends, arrays = encode_videos(self.inferencer, items)
            features = (
                (end, {name: array[place] for name, array in arrays.items()})
                for place, end in enumerate(ends)
            )
        return pack([(path, file, item and next(features), why) for path, file, item, why in rows])


def commit(table: pyarrow.Table, folder: str, facts: Facts, libraries: Libraries) -> pyarrow.Table:
    """Commit a shard of rows; once more, if the task dies, changes nothing."""
    rows = unpack(table)
    found = [(file, *features) for _, file, features, _ in rows if features]
    if found:
        arrays = {name: np.stack([each[name] for *_, each in found]) for name in found[0][2]}
        Gallery.create(folder, replace(facts, layout=layout_of(arrays)), libraries)
    if Gallery.exists(folder):
        with GalleryWriter(Gallery(folder)) as writer:
            if found:
                writer.add([Span(file, 0.0, end) for file, end, _ in found], arrays)
            for _, file, features, why in rows:
                if not features:
                    writer.note_unreadable(file, why)
    return pack([(path, features is not None, why) for path, _, features, why in rows])


def run(work: Work, facts: Facts, transforms: Any, args: argparse.Namespace) -> list[Any]:
    """Index on the cluster; return of each path whether it was read, and what is wrong with it."""
    ray = import_extra('ray', 'ray')
    ray.init(include_dashboard=False, log_to_driver=False)
    num_gpus = int(ray.cluster_resources().get('GPU', 0))
    model_on = dict(num_gpus=1, concurrency=num_gpus) if num_gpus else dict(concurrency=1)
    read = partial(decode, transforms=transforms, seconds=args.time_limit)
    save = partial(commit, folder=args.gallery, facts=facts, libraries=work.libraries)
    again = dict(batch_format='pyarrow', max_retries=-1)
    actor = dict(batch_format='pyarrow', max_restarts=-1, max_task_retries=-1, **model_on)
    videos = ray.data.from_arrow(pack(list(work.wanted.items())))
    results = (
        videos.repartition(-(-len(work.wanted) // VIDEOS_PER_TASK))
        .map_batches(read, batch_size=VIDEOS_PER_TASK, **again)
        .map_batches(Encoder, batch_size=args.batch_size, fn_constructor_args=[args], **actor)
        .map_batches(save, batch_size=COMMIT_ROWS, **again)
    )
    tables = results.iter_batches(batch_size=None, batch_format='pyarrow')
    return [row for table in tables for row in unpack(table)]


@stop_with_message(GO_ON)
def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser('tools/index_ray.py', description=__doc__.splitlines()[0])
    add_indexing_options(parser)
    args, start = parser.parse_args(), time.perf_counter()
    moments = check_indexing(args)
    refuse_to_cut(moments)
    on_cpu = argparse.Namespace(**vars(args) | dict(device='cpu'))
    here = build_inferencer(on_cpu, facts_of(args.gallery))
    work = find_work(here, args.videos, args.gallery, args.root, Share())
    facts = here.facts({}, moments, args.int8)
    rows = run(work, facts, here.transforms, args) if work.wanted else []
    unreadable = {path: why for path, is_read, why in rows if not is_read}
    tails = {path: why for path, is_read, why in rows if is_read and why}
    gallery = Gallery(args.gallery) if Gallery.exists(args.gallery) else None
    num_added, seconds = len(rows) - len(unreadable), time.perf_counter() - start
    log_run(gallery, work, Outcome(num_added, unreadable, tails, seconds))
    if gallery is not None:
        index_subtitles(here, gallery, work.files, args.subtitles)
        maintain(gallery)


if __name__ == '__main__':
    main()
