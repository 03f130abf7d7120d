"""What can be wrong with a gallery."""

from __future__ import annotations

DAMAGED = (
    'It is damaged, or was copied in part or while it was written: copy the whole folder again, or '
    'index the videos into a new one.'
)


class GalleryError(RuntimeError):
    """A folder is not the gallery that is wanted."""
