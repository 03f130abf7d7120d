"""The scripts of `tools/` as modules, which spares the start of a Python."""

import importlib.util
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[1] / 'tools'


def load_tool(name):
    """Import a script anew: 'train' is `tools/train.py`, 'data/prepare' one in a folder."""
    path = TOOLS / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run_main(name):
    """Run the `main` of a script; return the exit status, and the message that it ends with."""
    try:
        code = load_tool(name).main()
    except SystemExit as ended:
        code = ended.code
    return (1, code) if isinstance(code, str) else (code or 0, '')
