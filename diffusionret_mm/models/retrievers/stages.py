"""Stages of training: which there are, and what each trains."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn


class InStages(nn.Module):
    """A model that is trained in stages, one of them if a subclass says nothing else."""

    stages: tuple[str, ...] = ('discrimination',)
    """Stages of training, in their order."""

    stage: str = 'discrimination'
    """The stage that the model is in; set by `set_stage`."""

    def set_stage(self, stage: str) -> None:
        """Enter a stage of training.

        Raises:
            ValueError: if the model has no such stage.
        """
        if stage not in self.stages:
            raise ValueError(f'stage must be one of {self.stages}; got {stage!r}.')
        self.stage = stage

    def stage_of(self, name: str) -> str:
        """Return the stage that trains a tensor; until then its value means nothing.

        Args:
            name: name of a parameter or buffer, as in the state dict.
        """
        return self.stages[0]

    def trained_parameters(self, stage: str) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield names and parameters that belong to a stage, frozen ones included."""
        for name, parameter in self.named_parameters():
            if self.stage_of(name) == stage:
                yield name, parameter
