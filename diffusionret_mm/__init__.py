"""Generative text-video retrieval for the OpenMMLab stack.

Importing the package registers its components in mmaction's registries, so a config of any
mmaction project gets them by `custom_imports = dict(imports=['diffusionret_mm'])`.
"""

import os

# OpenMP threads that spin while they wait make a step on a busy machine ten times slower. It is
# read when torch is loaded, so import this package first.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

from diffusionret_mm import compat  # noqa: E402
from diffusionret_mm.storage.checkpoints import (  # noqa: E402
    load_checkpoint_file,
    save_checkpoint_file,
)

# Before anything imports mmaction.models.
compat.apply(load_checkpoint_file, save_checkpoint_file)

from diffusionret_mm import datasets, engine, evaluation, models  # noqa: E402, F401
from diffusionret_mm.version import __version__  # noqa: E402
from diffusionret_mm.visualization import report_hook  # noqa: E402, F401

__all__ = ['__version__']
