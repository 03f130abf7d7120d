"""Many processes that search one gallery, each of which holds a part of its index."""

from __future__ import annotations

from collections.abc import Callable

from torch import distributed

from diffusionret_mm.apis.shares import Share
from diffusionret_mm.search import GalleryError, Ranks, Searchers, serve, spans_of


def search_by_shares(folder: str, share: Share, run: Callable[[Searchers], None]) -> None:
    """Run what searches a gallery, with the help of the other processes of a launcher.

    Rank 0 runs it. The others look through their parts of the index meanwhile, and need no model.

    Args:
        folder: folder or address of the gallery.
        share: what this process is; a process alone looks through all parts.
        run: what is run; it is given who looks through the parts.

    Raises:
        SystemExit: with status 2 in the others, if a process has ended too early. Rank 0 says so.
    """
    if share.world_size == 1:
        run(Searchers())
        return
    distributed.init_process_group('gloo')
    try:
        if share.rank == 0:
            _lead(folder, run)
        else:
            _follow(folder)
    finally:
        distributed.destroy_process_group()


def _lead(folder: str, run: Callable[[Searchers], None]) -> None:
    ranks = Ranks(spans_of(folder))
    try:
        run(ranks)
    finally:
        ranks.dismiss()


def _follow(folder: str) -> None:
    try:
        serve(spans_of(folder))
    except GalleryError:
        raise SystemExit(2) from None
