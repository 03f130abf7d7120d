"""Generative text-video retrieval for the OpenMMLab stack.

Importing the package registers its components in mmaction's registries, so a config of any
mmaction project gets them by `custom_imports = dict(imports=['diffusionret_mm'])`.
"""

from diffusionret_mm import compat

compat.apply()  # before anything imports mmaction.models

from diffusionret_mm import datasets, engine, evaluation, models  # noqa: E402, F401
from diffusionret_mm.version import __version__  # noqa: E402

__all__ = ['__version__']
