"""A retriever that learns the scores of frozen teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.models.checkpoint_check import check_passport
from diffusionret_mm.models.gather import gather_batch
from diffusionret_mm.models.retrievers.text_video_retriever import Batch, TextVideoRetriever
from diffusionret_mm.storage.checkpoints import load_checkpoint_file, load_weights


@MODELS.register_module()
class TeachTextDistillation(TextVideoRetriever):
    """Distillation of similarity matrices, in the manner of TeachText.

    With the student's similarities S of a batch and those S_k of K frozen teachers,

        L = L_contrastive(S) + weight * SmoothL1(S, mean_k S_k)

    the target of TeachText (Croitoru et al., ICCV 2021, Section 3.2). It is inspired by TT-CE and
    is not TT-CE: that is a model on expert features whose teachers differ in their text encoder.
    Here student and teachers are retrievers of this package that read the same frames and words.
    Teachers act in training only: no checkpoint holds them and no test needs them.

    Args:
        teachers: `dict(config=..., checkpoint=...)` of each teacher: a config file of this package
            and its checkpoint, whose similarity alone is used. All are cosines or means of cosines
            if the student's similarity is.
        weight: of the distillation (published: 1).
        **kwargs: of `TextVideoRetriever`.

    Raises:
        ValueError: if no teacher is given, or one lacks its config or checkpoint.
    """

    def __init__(
        self, *, teachers: Sequence[Mapping[str, str]], weight: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not teachers:
            raise ValueError('teachers is empty: distillation needs one or more.')
        for teacher in teachers:
            if set(teacher) != {'config', 'checkpoint'}:
                raise ValueError(
                    f'A teacher is dict(config=..., checkpoint=...); got {dict(teacher)}.'
                )
        self.teacher_files = [dict(teacher) for teacher in teachers]
        self.weight = weight
        # In a tuple, modules are no part of this one: not trained, not saved.
        self.teachers: tuple[TextVideoRetriever, ...] = ()

    def init_weights(self) -> None:
        """Load pre-trained weights and the teachers.

        Raises:
            FileNotFoundError: if a teacher's config or checkpoint is missing.
            CheckpointError: if a checkpoint does not fit its config.
            ValueError: if a teacher reads texts or frames in another way.
        """
        super().init_weights()
        self.teachers = tuple(map(_load_teacher, self.teacher_files))
        for files, teacher in zip(self.teacher_files, self.teachers, strict=True):
            self._check_reads_alike(files['config'], teacher)

    def _check_reads_alike(self, name: str, teacher: TextVideoRetriever) -> None:
        ours, theirs = self.backbone.passport, teacher.backbone.passport
        differences = ours.differences(theirs.input_facts()) if ours and theirs else []
        if differences:
            raise ValueError(
                f'The teacher {name} reads texts or frames in another way than the student '
                f'("then" is the teacher): {"; ".join(differences)}. Take a teacher whose backbone '
                'reads them alike.'
            )

    def forward(self, inputs: Batch, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """Run a batch, as mmengine calls it; see `TextVideoRetriever.forward`.

        Raises:
            RuntimeError: in mode 'loss', if `init_weights` did not load the teachers.
        """
        if mode != 'loss':
            return super().forward(inputs, data_samples, mode)
        if not self.teachers:
            raise RuntimeError('The teachers were not loaded: call init_weights() first.')
        rows = inputs['video_of_text'], inputs['video_index']
        texts, videos, *joined = gather_batch(*self.extract(inputs), *rows, rule=self.gather)
        scores = self.similarity(texts, videos)
        losses = self.loss_head(scores, self.backbone.logit_scale, *joined)
        target = torch.stack([self._score(teacher, inputs) for teacher in self.teachers]).mean(0)
        losses['loss_distillation'] = self.weight * F.smooth_l1_loss(scores, target)
        return losses

    @torch.no_grad()
    def _score(self, teacher: TextVideoRetriever, inputs: Batch) -> Tensor:
        """Similarities of a teacher on the global batch."""
        teacher.to(inputs['ids'].device)
        rows = inputs['video_of_text'], inputs['video_index']
        texts, videos, *_ = gather_batch(*teacher.extract(inputs), *rows, rule=self.gather)
        return teacher.similarity(texts, videos)


def _load_teacher(files: Mapping[str, str]) -> TextVideoRetriever:
    for kind, path in files.items():
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'The {kind} of a teacher, {path}, is no file: train the teacher first, or give '
                'the paths in model.teachers.'
            )
    cfg = Config.fromfile(files['config'])
    teacher = MODELS.build(cfg.model)
    teacher.set_stage(teacher.stages[0])  # its similarity alone is used
    path = files['checkpoint']
    meta = load_checkpoint_file(path, 'cpu').get('meta')
    check_passport(teacher.backbone.passport, meta, path)
    teacher.load_state_dict(load_weights(path))
    print_log(f'Loaded the teacher {files["checkpoint"]}.', logger='current')
    return teacher.requires_grad_(False).eval()
