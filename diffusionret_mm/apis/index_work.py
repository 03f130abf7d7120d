"""What there is to index: the files, their libraries, and what a gallery knows of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionret_mm.apis.decoding import Listing, list_videos
from diffusionret_mm.apis.shares import Share
from diffusionret_mm.search import Gallery, GalleryError, Libraries, VideoFile
from diffusionret_mm.storage.fingerprint import version_of_file
from diffusionret_mm.storage.names import printable

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Work:
    """What there is to index.

    Args:
        listing: what the folders hold.
        gallery: the gallery as it is; None if there is none yet.
        libraries: its libraries, and new ones.
        files: all files by path.
        wanted: those of this share that are new or have changed.
        num_known: number of the others of this share.
    """

    listing: Listing
    gallery: Gallery | None
    libraries: Libraries
    files: dict[str, VideoFile]
    wanted: dict[str, VideoFile]
    num_known: int


def find_work(
    inferencer: TextVideoInferencer,
    source: PathLike | Sequence[PathLike],
    folder: str,
    roots: Mapping[str, PathLike],
    share: Share,
) -> Work:
    """Find the files that a gallery lacks.

    Args:
        inferencer: the model.
        source: folders of videos, searched with their sub-folders, or files.
        folder: folder of the gallery, or its address.
        roots: folders of libraries by name: of known ones that have moved, or of new ones.
        share: the part of the files that this process indexes.

    Raises:
        FileNotFoundError: if a folder or a file does not exist.
        GalleryError: if the gallery is of another model, cannot be read, or one of its libraries
            has moved and it is not said where to.
    """
    listing = list_videos(source)
    gallery = _open(inferencer, folder, roots) if Gallery.exists(folder) else None
    libraries = _libraries(gallery, source, roots, listing)
    files = _files(listing, libraries)
    known = {} if gallery is None else gallery.known()
    if gallery is not None:
        _refuse_moved(gallery.libraries, known, files.values())
    mine = {path: file for path, file in files.items() if share.has(file.path)}
    wanted = {path: file for path, file in mine.items() if known.get(file.key) != file}
    return Work(listing, gallery, libraries, files, wanted, len(mine) - len(wanted))


def _open(inferencer: TextVideoInferencer, folder: str, roots: Mapping[str, PathLike]) -> Gallery:
    """Open a gallery; roots of libraries that it does not know are those of new ones."""
    known = Gallery(folder).libraries.roots
    moved = {name: root for name, root in roots.items() if name in known}
    return inferencer.open_gallery(Gallery(folder, moved))


def _libraries(
    gallery: Gallery | None,
    source: PathLike | Sequence[PathLike],
    roots: Mapping[str, PathLike],
    listing: Listing,
) -> Libraries:
    """Return the gallery's libraries and new ones, so that each file is in one of them."""
    known = {} if gallery is None else gallery.libraries.roots
    named = {name: os.path.abspath(root) for name, root in roots.items()}
    given = [source] if isinstance(source, str | os.PathLike) else source
    paths = {os.path.abspath(path) for path in given} - listing.passed_over.keys()
    folders = {path for path in paths if os.path.isdir(path)}
    return Libraries(known | named).joined_by(folders, paths - folders)


def _refuse_moved(
    libraries: Libraries,
    known: Mapping[tuple[str, str], VideoFile],
    files: Collection[VideoFile],
) -> None:
    """Refuse to index videos again whose library has moved: each would be there twice.

    Args:
        libraries: those of the gallery.
        known: its files.
        files: those to index.

    Raises:
        GalleryError: if a new folder holds a file of a library whose folder is gone.
    """
    lost = {name for name, root in libraries.roots.items() if not os.path.isdir(root)}
    sizes = {(path, file.bytes): name for (name, path), file in known.items() if name in lost}
    for file in files:
        name = sizes.get((file.path, file.bytes))
        if name is not None and file.library not in libraries.roots:
            raise GalleryError(
                f'The folder {libraries.roots[name]} of the library {name!r} does not exist, and '
                f'the folder that is to be indexed holds the same file {printable(file.path)}; if '
                f'that is where it is now, give --root {name}=FOLDER.'
            )


def _files(listing: Listing, libraries: Libraries) -> dict[str, VideoFile]:
    """Return the states of files by path; what has vanished since is noted in the listing."""
    files = {}
    for path in listing.paths:
        try:
            place, version = libraries.locate(path), version_of_file(path)
            assert place is not None  # a library has the folder that was listed
            files[path] = VideoFile(*place, *version)
        except OSError as error:
            listing.passed_over[path] = (error.strerror or str(error)).lower()
    return files
