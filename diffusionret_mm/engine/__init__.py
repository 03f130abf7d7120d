"""Loops and hooks of mmengine's runner."""

from diffusionret_mm.engine.hooks import StageSwitchHook
from diffusionret_mm.engine.loops import TextVideoTestLoop, TextVideoValLoop
from diffusionret_mm.engine.optim_constructor import RoleOptimWrapperConstructor

__all__ = [
    'RoleOptimWrapperConstructor',
    'StageSwitchHook',
    'TextVideoTestLoop',
    'TextVideoValLoop',
]
