"""Indexing of video files into a gallery."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from mmengine.logging import print_log

from diffusionret_mm.apis.decoding import describe, list_reasons
from diffusionret_mm.apis.filling import GalleryFiller
from diffusionret_mm.apis.index_spans import index_spans
from diffusionret_mm.apis.index_subtitles import index_subtitles
from diffusionret_mm.apis.index_whole import index_whole
from diffusionret_mm.apis.index_work import Work, find_work
from diffusionret_mm.apis.shares import Share
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search import Gallery, GalleryError, GalleryWriter, VideoFile, maintain
from diffusionret_mm.search.maintenance import KEPT

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class IndexOptions:
    """How to index.

    Args:
        roots: folders of libraries by name: of known ones that have moved, or of new ones.
        share: the part of the files that this process indexes.
        devices: where to encode; none: the inferencer's device.
        keep: age of the gallery's versions that stay.
        moments: how videos are cut into spans; None: as in the gallery, or not at all if it is new.
        int8: whether a new gallery keeps frames in 8 bits.
        subtitles: whether to read subtitles, too; a gallery that has some goes on with them.
    """

    roots: Mapping[str, PathLike] = field(default_factory=dict)
    share: Share = Share()
    devices: Sequence[torch.device] = ()
    keep: timedelta = KEPT
    moments: Moments | None = None
    int8: bool = False
    subtitles: bool = False


def index_videos(
    inferencer: TextVideoInferencer,
    source: PathLike | Sequence[PathLike],
    folder: str,
    options: IndexOptions,
) -> Gallery | None:
    """Index videos; see `TextVideoInferencer.index`."""
    start = time.perf_counter()
    work = find_work(inferencer, source, folder, options.roots, options.share)
    moments = moments_of(work.gallery, options.moments)
    devices = options.devices or [inferencer.device]
    workers = inferencer.num_workers or options.share.workers()
    with GalleryFiller(inferencer, folder, work, moments, options.int8) as filler:
        if moments.kind == 'none':
            index_whole(inferencer, filler, devices, workers)
        else:
            index_spans(inferencer, filler, devices, workers, moments)
    if options.share.world_size == 1:
        filler.refuse_nothing()
    seconds = time.perf_counter() - start
    outcome = Outcome(filler.num_added, filler.unreadable, filler.broken_tails, seconds)
    log_run(filler.gallery, work, outcome)
    if filler.gallery is not None:
        mine = {path: each for path, each in work.files.items() if options.share.has(each.path)}
        index_subtitles(inferencer, filler.gallery, mine, options.subtitles, workers)
    if filler.gallery is not None and _nothing_is_left(filler.gallery, work.files, options.share):
        maintain(filler.gallery, options.keep)
    return filler.gallery


def remove_vanished(
    folder: PathLike, roots: Mapping[str, PathLike] | None = None, keep: timedelta = KEPT
) -> int:
    """Take the videos out of a gallery whose files do not exist any more.

    Args:
        folder: folder of the gallery.
        roots: folders of libraries that have moved, by name.
        keep: age of the gallery's versions that stay; their room is given back later.

    Returns:
        Their number.

    Raises:
        GalleryError: if there is no gallery, or the root of a library does not exist.
    """
    gallery = Gallery(folder, roots)
    libraries = gallery.libraries
    keys = list(gallery.known())
    for name in sorted({library for library, _ in keys}):
        root = libraries.path_of(name, '').rstrip(os.sep)
        if not os.path.isdir(root):
            raise GalleryError(
                f'The folder {root} of the library {name!r} does not exist, so nothing was taken '
                f'out. If it has moved, give --root {name}=FOLDER.'
            )
    gone = [key for key in keys if not os.path.isfile(libraries.path_of(*key))]
    removed = GalleryWriter(gallery).remove(gone)
    if removed:
        maintain(gallery, keep)
    return removed


def moments_of(gallery: Gallery | None, wanted: Moments | None) -> Moments:
    """Return how videos are cut: as is wanted, or else as before, or else not at all.

    Raises:
        GalleryError: if the gallery's videos were cut otherwise.
    """
    if gallery is None:
        return wanted or Moments()
    gallery.check_moments(wanted or gallery.facts.moments)
    return gallery.facts.moments


def refuse_to_cut(moments: Moments) -> None:
    """Refuse moments where videos are indexed as wholes.

    Raises:
        ValueError: if videos are to be cut.
    """
    if moments.kind != 'none':
        raise ValueError(
            f'On a Ray cluster videos are indexed as wholes, not as {moments}; tools/index.py cuts '
            'them.'
        )


def _nothing_is_left(gallery: Gallery, files: Mapping[str, VideoFile], share: Share) -> bool:
    """Whether this process is the last one, which maintains the gallery."""
    if share.world_size == 1:
        return True
    known = gallery.known()
    return all(file.key in known for file in files.values())


@dataclass(frozen=True)
class Outcome:
    """What a run has done.

    Args:
        num_added: number of videos that were indexed.
        unreadable: why files cannot be read, by path.
        broken_tails: what is wrong with the ends of files that were indexed, by path.
        seconds: what it took.
    """

    num_added: int
    unreadable: Mapping[str, str]
    broken_tails: Mapping[str, str]
    seconds: float


def log_run(gallery: Gallery | None, work: Work, outcome: Outcome) -> None:
    """Log what a run has indexed.

    Args:
        gallery: the gallery, if there is one now.
        work: what there was to do.
        outcome: what was done.
    """
    held = 'There is no gallery yet.'
    if gallery is not None:
        held = f'The gallery {gallery.folder} holds {len(gallery):,}.'
    added, seconds = outcome.num_added, outcome.seconds
    tails = list_reasons(outcome.broken_tails)
    print_log(
        f'Indexed {added:,} videos in {seconds:.1f} s ({added / seconds:.1f} per second); '
        f'{work.num_known:,} were known, {len(outcome.unreadable):,} cannot be read. {held} '
        + list_reasons(outcome.unreadable)
        + (f'\nBroken at their ends, and indexed up to there:{tails}' if tails else '')
        + describe(work.listing),
        logger='current',
    )
