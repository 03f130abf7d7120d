"""Losses."""

from diffusionret_mm.models.losses.candidate_bce import CandidateBCELoss
from diffusionret_mm.models.losses.contrastive import ContrastiveLoss
from diffusionret_mm.models.losses.distillation import TeacherStudentLoss
from diffusionret_mm.models.losses.generation_kl import GenerationKLLoss
from diffusionret_mm.models.losses.kl_contrastive import KLContrastiveLoss

__all__ = [
    'CandidateBCELoss',
    'ContrastiveLoss',
    'GenerationKLLoss',
    'KLContrastiveLoss',
    'TeacherStudentLoss',
]
