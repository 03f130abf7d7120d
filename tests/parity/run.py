"""All comparisons of a golden directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parity import (
    diffusion,
    encoders,
    evaluation,
    inputs,
    optimisation,
    reranking,
    training,
)
from parity.encoders import Subject
from parity.golden import Check, GoldenFolder

# Which files a comparison needs; it is made if they are all there.
COMPARISONS: tuple[tuple[tuple[str, ...], Callable[[GoldenFolder, Subject], None]], ...] = (
    (('state_dict.npz',), encoders.check_converted_weights),
    ((), encoders.check_key_lists),
    (('encode.npz',), encoders.check_encoders),
    (('wti.npz',), encoders.check_similarity),
    (('encode.npz', 'discrimination.npz'), training.check_discrimination),
    (('encode.npz',), training.check_generation),
    (('schedule.npz',), diffusion.check_schedules),
    (('denoiser.npz',), diffusion.check_denoiser),
    (('denoiser.npz', 'ddim.npz'), diffusion.check_ddim),
    ((), reranking.check_reranking),
    (('metrics.npz', 'metrics.json'), evaluation.check_metrics),
    (('optimizer.npz',), optimisation.check_optimizer),
    (('tokenizer.json',), inputs.check_tokenizer),
    (('frame_sampling.json',), inputs.check_frame_sampling),
    (('transform.npz',), inputs.check_transform),
)
DESCRIPTIONS = ('README.md', 'manifest.json')  # nothing to compare with
SUFFIXES = ('.npz', '.json')


@dataclass(frozen=True)
class ParityReport:
    """What was compared and what was not.

    Args:
        checks: every quantity that was compared.
        not_compared: arrays of known files, as FILE: ARRAY, that were neither compared nor taken
            as inputs.
        not_known: files of the directory that no comparison knows.
    """

    checks: list[Check]
    not_compared: list[str]
    not_known: list[str]

    @property
    def passed(self) -> bool:
        """Whether everything was compared and is within its tolerance."""
        return not self.not_compared and all(check.passed for check in self.checks)


def check_parity(path: str | Path) -> ParityReport:
    """Compare the model with a golden directory.

    The model is built from the directory's `state_dict.npz` alone, through the converter, so no
    size is assumed.

    Args:
        path: the golden directory.

    Returns:
        The report.

    Raises:
        FileNotFoundError: if the directory has no `state_dict.npz`.
        ConversionError: if its checkpoint is not one of DiffusionRet's second stage.
    """
    golden = GoldenFolder(path)
    subject = encoders.load_subject(golden)
    for needed, compare in COMPARISONS:
        if golden.has(*needed):
            compare(golden, subject)
    opened = golden.files.values()
    present = sorted(file.name for file in golden.path.iterdir() if file.suffix in SUFFIXES)
    return ParityReport(
        checks=[check for file in opened for check in file.checks],
        not_compared=[f'{file.name}: {key}' for file in opened for key in file.left_over()],
        not_known=[
            name for name in present if name not in golden.files and name not in DESCRIPTIONS
        ],
    )
