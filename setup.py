"""Packaging of diffusionret_mm: `pip install -e .` or `pip install -e ".[test]"`."""

import re
import shutil
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MMCV_RANGE = '>=2.0.0rc4,<2.2.0'  # asserted by mmaction2 1.2.0 when it is imported


def read_version() -> str:
    """Return `__version__` from version.py, without importing the package."""
    text = (ROOT / 'diffusionret_mm' / 'version.py').read_text(encoding='utf-8')
    found = re.search(r"^__version__ = '([^']+)'$", text, flags=re.MULTILINE)
    if found is None:
        raise RuntimeError("diffusionret_mm/version.py needs a line like: __version__ = '1.2.3'")
    return found.group(1)


def read_readme() -> str:
    """Return the README, or nothing when it is not part of the source tree."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


def choose_mmcv() -> str:
    """Require the full mmcv where it is installed already, and mmcv-lite elsewhere.

    Both distributions install the import package `mmcv`, so mmcv-lite on top of a full mmcv
    would overwrite files of it. pip's isolated build hides the target environment from
    `sys.path` but runs in the same interpreter, so the environment's own site-packages folder
    is searched as well. Build tools that isolate with another interpreter (uv, `python -m
    build`) do not see the full mmcv; docs/install.md says how to install there.
    """
    site_packages = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    found = [*distributions(), *distributions(path=sorted(site_packages))]
    names = {str(dist.metadata['Name']).lower() for dist in found}
    return f'mmcv{MMCV_RANGE}' if 'mmcv' in names else 'mmcv-lite==2.1.0'


class BuildWithConfigs(build_py):
    """Puts the configs into the wheel, where mim looks for those of a package."""

    def run(self) -> None:
        """Copy them behind the modules; an editable install uses those of the source tree."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'diffusionret_mm' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        ignored = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / 'configs', target / 'configs', ignore=ignored)
        shutil.copy(ROOT / 'model-index.yml', target)


# Tested together on Python 3.11: torch 2.15, mmengine 0.10.7, mmcv-lite 2.1.0, mmaction2 1.2.0,
# open_clip_torch 3.3.0, diffusers 0.42.1, av 18.1, decord 0.6.0, filelock 4.2.12, pebble 5.2.3,
# numpy 2.4, transformers 5.23. `.ci/oldest.txt` names the lower bounds; docs/install.md says what
# was run with them.
INSTALL_REQUIRES = [
    'torch>=2.5',
    'torchvision',
    'numpy',
    'mmengine>=0.10.7,<1',
    choose_mmcv(),
    'mmaction2==1.2.0',
    'importlib_metadata',  # imported by mmaction2, which does not ask for it
    'open_clip_torch>=3.3',
    'transformers>=4.40',  # runs the tokenizers of SigLIP and others for open_clip
    'diffusers>=0.30',
    'av>=17',
    'decord>=0.6.0',  # asked for by mmaction2 too
    'tqdm',
    'filelock>=3.30.2',  # before, who waits for a lock empties the file
    'pebble>=5.0',
    'rich>=12.6',
    # For pictures and reports; what stands above asks for them too.
    'matplotlib',
    'pillow',
    'jinja2',
]
# Tested with onnx 1.23.2, onnxscript 0.7.2 (which torch's exporter needs), onnxruntime 1.31.1.
EXPORT_REQUIRES = ['onnx>=1.17', 'onnxscript>=0.5', 'onnxruntime>=1.20']
# Tested with pylance 14.0.2 and pyarrow 26.0.1.
SEARCH_REQUIRES = ['pylance>=14', 'pyarrow>=19']
# Features of other programs in .h5 and parquet. Tested with h5py 3.16.0.
FEATURES_REQUIRES = ['h5py>=3', 'pyarrow>=19']
# Tested with ray 2.60.0.
RAY_REQUIRES = [*SEARCH_REQUIRES, 'ray[data]>=2.40']
# Tested with gradio 6.31.0; playwright drives the Chromium of the system, if there is one.
DEMO_REQUIRES = [*SEARCH_REQUIRES, 'gradio>=6']
# Tested with scenedetect-headless 0.7.2.
MOMENTS_REQUIRES = ['scenedetect-headless>=0.7']
# Tested with mteb 2.26.24, which needs Python 3.11.
MTEB_REQUIRES = ['mteb>=2.26; python_version >= "3.11"']
# Tested with mkdocs 1.6.1, mkdocs-material 9.8.2, mkdocstrings 1.0.8 and latex2mathml 3.81.1.
DOCS_REQUIRES = ['mkdocs-material>=9.5', 'mkdocstrings[python]>=0.26', 'latex2mathml>=3.77']
TEST_REQUIRES = [
    'pytest>=8',
    'pytest-cov>=6',
    'pytest-timeout',
    'pytest-xdist',
    'import-linter>=2.1',
    'mypy>=2.4',
    'ruff>=0.12',
    'moto[s3]>=5',  # an S3 server; flask and flask-cors are what its server needs
    'flask',
    'flask-cors',
    'playwright',
    *EXPORT_REQUIRES,
    *FEATURES_REQUIRES,
    *DEMO_REQUIRES,
    *MOMENTS_REQUIRES,
    *MTEB_REQUIRES,
    *DOCS_REQUIRES,
]
EXTRAS_REQUIRE = {
    'demo': DEMO_REQUIRES,
    'docs': DOCS_REQUIRES,
    'export': EXPORT_REQUIRES,
    'features': FEATURES_REQUIRES,
    'moments': MOMENTS_REQUIRES,
    'mteb': MTEB_REQUIRES,
    'ray': RAY_REQUIRES,
    'search': SEARCH_REQUIRES,
    'test': TEST_REQUIRES,
    'dev': [*TEST_REQUIRES, 'build', 'pre-commit'],
}

setup(
    name='diffusionret_mm',
    version=read_version(),
    description='Text-video retrieval with diffusion models for OpenMMLab',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    author='The diffusionret_mm authors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='text-video retrieval, diffusion model, CLIP, OpenMMLab, MMAction2',
    packages=find_packages(include=['diffusionret_mm*']),
    package_data={'diffusionret_mm': ['py.typed'], 'diffusionret_mm.demo': ['static/*']},
    python_requires='>=3.10,<3.14',  # mmengine 0.10.7 uses functions that 3.14 removed
    install_requires=INSTALL_REQUIRES,
    entry_points=dict(
        console_scripts=['text-video = diffusionret_mm.commands.text_video:main'],
    ),
    cmdclass=dict(build_py=BuildWithConfigs),
    extras_require=EXTRAS_REQUIRE,
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Multimedia :: Video',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    zip_safe=False,
)
