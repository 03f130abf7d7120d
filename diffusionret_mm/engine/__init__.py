"""Loops, hooks, optimizer and schedule for mmengine's runner."""

from diffusionret_mm.engine.hooks import (
    FeatureCacheHook,
    RunCostHook,
    StageSwitchHook,
    ValidateAtStartHook,
)
from diffusionret_mm.engine.loops import TextVideoTestLoop, TextVideoValLoop
from diffusionret_mm.engine.optim_constructor import RoleOptimWrapperConstructor
from diffusionret_mm.engine.optimizers import BertAdam, TransformersAdamW
from diffusionret_mm.engine.schedulers import WarmupCosineLR

__all__ = [
    'BertAdam',
    'FeatureCacheHook',
    'RoleOptimWrapperConstructor',
    'RunCostHook',
    'StageSwitchHook',
    'TextVideoTestLoop',
    'TextVideoValLoop',
    'TransformersAdamW',
    'ValidateAtStartHook',
    'WarmupCosineLR',
]
