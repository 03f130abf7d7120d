"""What keeps a gallery fast and small, after a run that changed it."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

from diffusionret_mm.search.gallery import Gallery
from diffusionret_mm.search.subtitles import update_text_index
from diffusionret_mm.search.vector_index import SEGMENT_ROWS, update_index
from diffusionret_mm.storage.locks import locked

# Versions of the last ten minutes stay: searches that have begun read from them.
KEPT = timedelta(minutes=10)


def maintain(gallery: Gallery, keep: timedelta = KEPT, segment_rows: int = SEGMENT_ROWS) -> None:
    """Write small fragments together, bring the indices up to date, and delete old versions.

    One process at a time does so on a local disk; others wait. Searches and writers go on.

    Args:
        gallery: the gallery.
        keep: age of the versions that stay. Zero gives the room of removed videos back at once;
            then nobody should search meanwhile.
        segment_rows: rows of a segment of the index, and of a file, about.
    """
    is_local = gallery.spans.folder is not None
    has_subtitles = gallery.subtitles.exists()
    tables = [gallery.spans, gallery.files] + [gallery.subtitles] * has_subtitles
    with locked(Path(gallery.folder, 'maintenance'), print) if is_local else nullcontext():
        gallery.spans.compact(segment_rows)
        gallery.files.compact()
        update_index(gallery.spans, segment_rows)
        if has_subtitles:
            gallery.subtitles.compact()
            update_text_index(gallery.subtitles)
        for table in tables:
            table.clean_up(keep)
