"""Diffusion of text embeddings towards videos, with a teacher and a student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from diffusionret_mm.models.generators.noise import build_noise_scheduler
from diffusionret_mm.models.generators.text_denoiser import TextContext, add_noise


@dataclass(frozen=True)
class TrainingPrediction:
    """Predictions of x_0 in training.

    Args:
        teacher: of N texts with their own videos, [N, D].
        student: of N texts with M videos, [N, M, D].
    """

    teacher: Tensor
    student: Tensor


@MODELS.register_module()
class TextDiffusion(BaseModule):
    """Two denoisers h (`TextDenoiser`) of one diffusion; a_i is its cumulative noise schedule.

    Embeddings have length sqrt(D). y is the visual counterpart of text z: its own video, pooled for
    it. A step i and a noise n are drawn for each text and shared by both (ours: the published code
    draws them apart and so compares unrelated things).

    - The teacher sees the paired video as its target: it gets sqrt(a_i) y + sqrt(1 - a_i) n and
      predicts y.
    - The student must do without. It starts where retrieval starts, with the text diffused to the
      last step, x_T = sqrt(a_T) z + sqrt(1 - a_T) n, makes a first guess g = h(x_T, T) of the
      target, and continues at step i with sqrt(a_i) g + sqrt(1 - a_i) n. That is the state which
      the sampler reaches at step i if the guess stays, so the student trains on what it will meet
      (ours). It does so for every video of the batch, given the text's distances to it.

    Both get sqrt(a_i) x_i in place of x_i, the best linear estimate of coordinates of variance 1.
    So noise fades from the input as it drowns the signal, and the first guess hardly depends on it
    (ours).

    The student's weights become a copy of the teacher's after `teacher_iterations` training steps;
    a counter in the state dict remembers how many there were.

    Args:
        denoiser: config of the `TextDenoiser`; two are built.
        scheduler: `dict(type=NAME)` of a deterministic scheduler of diffusers: DDIM, DPM-Solver++
            or UniPC.
        noise_schedule: 'cosine'; 'linear' needs 20 steps.
        num_train_steps: number T of diffusion steps.
        num_sample_steps: number of denoising steps in `sample`, at most T.
        teacher_iterations: training steps that the teacher learns alone.

    Raises:
        ValueError: if `num_sample_steps` is out of range.
    """

    def __init__(
        self,
        denoiser: Mapping[str, Any],
        scheduler: Mapping[str, Any] | None = None,
        noise_schedule: str = 'cosine',
        num_train_steps: int = 10,
        num_sample_steps: int = 10,
        teacher_iterations: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < num_sample_steps <= num_train_steps:
            raise ValueError(
                f'num_sample_steps must be in 1..num_train_steps ({num_train_steps}); '
                f'got {num_sample_steps}.'
            )
        self.num_train_steps = num_train_steps
        self.num_sample_steps = num_sample_steps
        self.teacher_iterations = teacher_iterations
        self.teacher = MODELS.build(denoiser)
        self.student = MODELS.build(denoiser)
        self.scheduler = build_noise_scheduler(
            scheduler or dict(type='DDIMScheduler'), noise_schedule, num_train_steps
        )
        self.register_buffer('iterations', torch.zeros((), dtype=torch.int64))

    def count_iteration(self) -> bool:
        """Count a training step, start the student when it is due, say whether it is learning."""
        if self.iterations == self.teacher_iterations:
            self.student.load_state_dict(self.teacher.state_dict())
        self.iterations += 1
        return bool(self.iterations > self.teacher_iterations)

    def forward(
        self, text: Tensor, target: Tensor, cosines: Tensor, video_of_text: Tensor
    ) -> TrainingPrediction:
        """Training pass; draws a step and a noise for each text.

        Args:
            text: embeddings z of N texts, [N, D].
            target: y of each text, without gradient, [N, D].
            cosines: of N texts with the frames of M videos, [N, M, F].
            video_of_text: row of each text's video, [N], int64.

        Returns:
            Predictions of teacher and student; the teacher's inputs have no gradient.
        """
        noise = torch.randn_like(text)
        t = torch.randint(self.num_train_steps, (len(text), 1), device=text.device)
        rows = torch.arange(len(text), device=text.device)
        own = self.teacher.prepare(text.detach(), cosines.detach()[rows, video_of_text])
        noisy = add_noise(self.scheduler, target, noise, t)
        teacher = self.predict(self.teacher, noisy, t.squeeze(1), own)
        pairs = self.student.prepare(text[:, None], cosines)
        noise, t = noise[:, None], t[..., None]
        with torch.no_grad():
            guess = self.predict(self.student, self.start(pairs.text, noise), self.last_step, pairs)
        noisy = add_noise(self.scheduler, guess, noise, t)
        student = self.predict(self.student, noisy, t.squeeze(-1), pairs)
        return TrainingPrediction(teacher, student)

    def predict(self, denoiser: nn.Module, x: Tensor, t: Tensor, context: TextContext) -> Tensor:
        """Predict x_0 of x_i [..., D] by the teacher or the student; `t` as of `TextDenoiser`."""
        kept = self.scheduler.alphas_cumprod.to(device=x.device, dtype=x.dtype)[t]
        return denoiser(kept.sqrt()[..., None] * x, t, context)

    @property
    def last_step(self) -> Tensor:
        """The noisiest step, [1], int64."""
        return torch.tensor([self.num_train_steps - 1], device=self.iterations.device)

    def start(self, text: Tensor, noise: Tensor) -> Tensor:
        """Diffuse texts to the last step; both arguments and the result are [..., D]."""
        return add_noise(self.scheduler, text, noise, self.last_step)

    @torch.no_grad()
    def sample(self, context: TextContext, noise: Tensor) -> Tensor:
        """Denoise texts, each on its way to a video, by the student.

        Args:
            context: of the student, for pairs.
            noise: standard normal, shape [..., D], leading dimensions as of `context.text`.

        Returns:
            x_0, shape [..., D] with the leading dimensions of the pairs.
        """
        self.scheduler.set_timesteps(self.num_sample_steps)
        x = self.start(context.text, noise)
        for t in self.scheduler.timesteps:
            step = t.reshape(1).to(device=x.device, dtype=torch.long)
            scaled = self.scheduler.scale_model_input(x, t)
            prediction = self.predict(self.student, scaled, step, context)
            x = self.scheduler.step(prediction, t, x).prev_sample
        return x
