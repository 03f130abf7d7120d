"""What is not installed is not imported, and is named when it is wanted."""

import subprocess
import sys

import pytest

from diffusionret_mm.extras import import_extra
from diffusionret_mm.search import Gallery

pytest.importorskip('lance')

HEAVY = ('lance', 'pyarrow', 'gradio', 'fastapi', 'onnxruntime')
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


def test_a_gallery_names_the_extra_that_it_needs(new_gallery, monkeypatch):
    folder = new_gallery(1)[0].folder
    monkeypatch.setitem(sys.modules, 'lance', None)
    with pytest.raises(ModuleNotFoundError, match=r'lance is not installed.*\.\[search\]'):
        Gallery(folder)
