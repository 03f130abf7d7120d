"""What is not installed is not imported, and is named when it is wanted."""

import subprocess
import sys

import pytest

from diffusionret_mm.extras import import_extra
from diffusionret_mm.search import Gallery

HEAVY = ('faiss', 'qdrant_client', 'gradio', 'fastapi', 'onnxruntime')
CODE = f"""
import sys
import diffusionret_mm, diffusionret_mm.apis, diffusionret_mm.search
import diffusionret_mm.demo.page, diffusionret_mm.demo.service
print([name for name in {HEAVY!r} if name in sys.modules])
"""


@pytest.mark.slow
def test_importing_the_package_imports_no_extra():
    done = subprocess.run([sys.executable, '-c', CODE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == '[]'


def test_a_missing_extra_is_named_with_its_command():
    with pytest.raises(ModuleNotFoundError, match=r'pip install -e "\.\[search\]"'):
        import_extra('a_package_that_is_not_there', 'search')


def test_a_gallery_opens_without_faiss_and_names_it_when_searched(new_gallery, monkeypatch):
    pytest.importorskip('faiss')
    folder = new_gallery(3)[0].folder
    monkeypatch.setattr('diffusionret_mm.search.first_step.import_extra', _missing)
    gallery = Gallery(folder)
    assert len(gallery) == 3
    with pytest.raises(ModuleNotFoundError, match='search'):
        _ = gallery.first_step


def _missing(module, extra):
    raise ModuleNotFoundError(f'{module} of {extra}')
