"""Loops, hooks, optimizer and schedule for mmengine's runner."""

from diffusionret_mm.engine.hooks import (
    DurableCheckpointHook,
    EMABesideHook,
    FeatureCacheHook,
    NonFiniteLossHook,
    ResumeHook,
    RunCostHook,
    RunRecordHook,
    StageSwitchHook,
    ValidateAtStartHook,
)
from diffusionret_mm.engine.log_processor import StageLogProcessor
from diffusionret_mm.engine.loops import TextVideoTestLoop, TextVideoValLoop
from diffusionret_mm.engine.optim_constructor import RoleOptimWrapperConstructor
from diffusionret_mm.engine.optimizers import BertAdam, TransformersAdamW
from diffusionret_mm.engine.schedulers import WarmupCosineLR
from diffusionret_mm.engine.sharded_optimizer import ShardedAdamW
from diffusionret_mm.engine.train_loop import TextVideoTrainLoop

__all__ = [
    'BertAdam',
    'DurableCheckpointHook',
    'EMABesideHook',
    'FeatureCacheHook',
    'NonFiniteLossHook',
    'ResumeHook',
    'RoleOptimWrapperConstructor',
    'RunCostHook',
    'RunRecordHook',
    'ShardedAdamW',
    'StageLogProcessor',
    'StageSwitchHook',
    'TextVideoTestLoop',
    'TextVideoTrainLoop',
    'TextVideoValLoop',
    'TransformersAdamW',
    'ValidateAtStartHook',
    'WarmupCosineLR',
]
