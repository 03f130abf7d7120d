"""Hooks."""

from diffusionret_mm.engine.hooks.feature_cache import FeatureCacheHook
from diffusionret_mm.engine.hooks.run_cost import RunCostHook
from diffusionret_mm.engine.hooks.stage_switch import StageSwitchHook
from diffusionret_mm.engine.hooks.validate_at_start import ValidateAtStartHook

__all__ = ['FeatureCacheHook', 'RunCostHook', 'StageSwitchHook', 'ValidateAtStartHook']
