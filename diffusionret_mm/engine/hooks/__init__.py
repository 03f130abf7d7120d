"""Hooks of training and evaluation."""

from diffusionret_mm.engine.hooks.calibrate import CalibrateHook
from diffusionret_mm.engine.hooks.checkpoint import DurableCheckpointHook
from diffusionret_mm.engine.hooks.ema import EMABesideHook
from diffusionret_mm.engine.hooks.feature_cache import FeatureCacheHook
from diffusionret_mm.engine.hooks.non_finite import NonFiniteLossHook
from diffusionret_mm.engine.hooks.resume import ResumeHook
from diffusionret_mm.engine.hooks.run_cost import RunCostHook
from diffusionret_mm.engine.hooks.run_record import RunRecordHook
from diffusionret_mm.engine.hooks.stage_switch import StageSwitchHook
from diffusionret_mm.engine.hooks.validate_at_start import ValidateAtStartHook

__all__ = [
    'CalibrateHook',
    'DurableCheckpointHook',
    'EMABesideHook',
    'FeatureCacheHook',
    'NonFiniteLossHook',
    'ResumeHook',
    'RunCostHook',
    'RunRecordHook',
    'StageSwitchHook',
    'ValidateAtStartHook',
]
