"""Links of the documents to files that are not below docs/: their targets join the site."""

from __future__ import annotations

import os
import re
from pathlib import Path

LINK = re.compile(r'(?<=\])\(([^)\s#:]+)(#[^)\s]*)?\)')
MODULES = 'source/diffusionret_mm/'
# Documents at the root that are pages of the site.
PAGES = {
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'SECURITY.md': 'security.md',
}


class Outside:
    """Finds where links of documents lead.

    Args:
        root: folder of the project.
        docs: folder of the documents.
    """

    def __init__(self, root: Path, docs: Path) -> None:
        self.root, self.docs = root, docs

    def place(self, target: Path) -> str | None:
        """Return where the site has a file of the project, or None if there is no such file.

        Args:
            target: path of the file.
        """
        if target.is_relative_to(self.docs):
            return target.relative_to(self.docs).as_posix()
        if not target.is_file() or not target.is_relative_to(self.root):
            return None
        name = target.relative_to(self.root).as_posix()
        return PAGES.get(name, f'source/{name}')

    def targets(self, markdown: str, folder: Path) -> dict[str, Path]:
        """Return the files of the project that a document links to, by their places in the site.

        Args:
            markdown: the document.
            folder: the folder from which its links start.
        """
        paths = [Path(os.path.normpath(folder / match[1])) for match in LINK.finditer(markdown)]
        places = {self.place(path): path for path in paths}
        return {place: path for place, path in places.items() if place and path.is_file()}

    def rewrite(self, markdown: str, folder: Path, page: str) -> str:
        """Let the links of a document lead to places in the site.

        Args:
            markdown: the document.
            folder: the folder from which its links start.
            page: place of the document in the site.

        Returns:
            The document; a link to nothing stays as it is, and mkdocs names it.
        """

        def lead(match: re.Match[str]) -> str:
            target = Path(os.path.normpath(folder / match[1]))
            place = self.place(target)
            if place is None:
                return match[0]
            if place.startswith(MODULES):  # to what the reference says of it
                dotted = '.'.join(target.with_suffix('').relative_to(self.root).parts)
                return f'[{dotted}{(match[2] or "").replace("#", ".")}]'
            return f'({os.path.relpath(place, os.path.dirname(page) or ".")}{match[2] or ""})'

        return LINK.sub(lead, markdown)
