"""The scripts of `tools/site` as modules."""

import sys
from importlib import import_module
from unittest.mock import patch

from tool_modules import TOOLS


def load_site(name):
    """Import one of them, as mkdocs does: with their folder on the path."""
    with patch.object(sys, 'path', [str(TOOLS / 'site'), *sys.path]):
        return import_module(name)
