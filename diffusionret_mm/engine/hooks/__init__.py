"""Hooks."""

from diffusionret_mm.engine.hooks.stage_switch import StageSwitchHook

__all__ = ['StageSwitchHook']
