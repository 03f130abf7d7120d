"""Libraries: names of folders of videos, so that a gallery survives their move."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from diffusionret_mm.search.errors import GalleryError


class Libraries:
    """Roots of libraries by name.

    Rows of a gallery name a library and a path relative to its root. The roots are kept in the
    gallery; those given in their place hold for this process.

    Args:
        roots: absolute paths of folders, by name.
    """

    def __init__(self, roots: Mapping[str, str]) -> None:
        self.roots = dict(roots)

    def locate(self, path: str) -> tuple[str, str] | None:
        """Return the library of a file and its path there; None if it is in none of them.

        Args:
            path: an absolute path. Of nested roots the innermost one counts.
        """
        inside = [name for name, root in self.roots.items() if _is_inside(path, root)]
        if not inside:
            return None
        name = max(inside, key=lambda each: len(self.roots[each]))
        return name, PurePath(os.path.relpath(path, self.roots[name])).as_posix()

    def path_of(self, library: str, path: str) -> str:
        """Return the absolute path of a file.

        Raises:
            GalleryError: if there is no such library.
        """
        if library not in self.roots:
            raise GalleryError(
                f'The gallery does not say where its library {library!r} is; give its folder by '
                f'--root {library}=FOLDER.'
            )
        return os.path.join(self.roots[library], *path.split('/'))

    def lost(self) -> list[str]:
        """Return a sentence about each library whose folder does not exist."""
        return [
            f'The folder {root} of the library {name!r} does not exist; if it has moved, give '
            f'--root {name}=FOLDER.'
            for name, root in self.roots.items()
            if not os.path.isdir(root)
        ]

    def moved(self, roots: Mapping[str, str | os.PathLike[str]]) -> Libraries:
        """Return the same libraries with some in other places.

        Args:
            roots: folders by name.

        Raises:
            ValueError: if there is no such library.
        """
        unknown = [name for name in roots if name not in self.roots]
        if unknown:
            known = ', '.join(sorted(self.roots)) or 'none'
            raise ValueError(f'The gallery has no library {unknown[0]!r}; it has {known}.')
        return Libraries(self.roots | {name: os.path.abspath(root) for name, root in roots.items()})

    def joined_by(self, folders: Iterable[str], files: Iterable[str]) -> Libraries:
        """Return these libraries and new ones for what lies in none of them.

        A new library is called like its folder, with a number if that name is taken.

        Args:
            folders: absolute paths of folders; each becomes a library.
            files: absolute paths of files; the folder that each lies in becomes one.
        """
        joined = Libraries(self.roots)
        for folder in [*sorted(set(folders)), *sorted({os.path.dirname(each) for each in files})]:
            if joined.locate(folder) is None:
                joined.roots[joined._free_name(folder)] = folder
        return joined

    def _free_name(self, folder: str) -> str:
        name = base = os.path.basename(folder) or 'videos'
        number = 2
        while name in self.roots:
            name, number = f'{base}-{number}', number + 1
        return name


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
