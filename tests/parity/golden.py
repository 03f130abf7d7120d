"""Recorded arrays of the published code, and the record of what was compared with them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Tolerance:
    """How far a value may be off: absolute + relative * |recorded|, element by element.

    Args:
        absolute: absolute part.
        relative: relative part.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def __str__(self) -> str:
        """Name both parts, leaving out what is 0."""
        parts = [
            f'{value:g}{unit}'
            for value, unit in ((self.absolute, ''), (self.relative, ' rel'))
            if value
        ]
        return ' + '.join(parts) or 'exact'


EXACT = Tolerance()
FEATURES = Tolerance(absolute=2e-5)
SIMILARITY = Tolerance(absolute=1e-6)
DIFFUSION = Tolerance(absolute=1e-5)
LOSS = Tolerance(relative=2e-6)
SCORES = Tolerance(absolute=2e-5)
TABLE = Tolerance(relative=1e-12)
FLOAT32 = Tolerance(absolute=1e-6, relative=1e-6)
PIXELS = Tolerance(absolute=2e-6)


def gradient_tolerance(recorded: np.ndarray, norms: np.ndarray) -> Tolerance:
    """Allow a gradient 1e-5 of its largest entry and 1e-6 of the largest norm in the model.

    Gradients that nearly cancel carry the rounding of the large ones: in float64 ours differs from
    the recorded float32 ones by as much as our own float32.
    """
    return Tolerance(absolute=float(1e-5 * np.abs(recorded).max() + 1e-6 * norms.max()))


@dataclass(frozen=True)
class Check:
    """One quantity, ours against the recorded one.

    Args:
        file: name of the golden file.
        quantity: name of the array.
        shape: its shape.
        max_abs: largest absolute error; infinite if the shapes differ.
        max_rel: the same as a share of the largest recorded absolute value.
        tolerance: what was allowed.
        passed: whether every element was within it.
    """

    file: str
    quantity: str
    shape: tuple[int, ...]
    max_abs: float
    max_rel: float
    tolerance: str
    passed: bool


@dataclass
class GoldenFile:
    """One file: its arrays, each either taken as an input or compared.

    Args:
        name: file name.
        arrays: its arrays by name.
        checks: what was compared.
        used: names of arrays that were taken as inputs.
    """

    name: str
    arrays: dict[str, np.ndarray]
    checks: list[Check] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def __contains__(self, key: str) -> bool:
        """Tell whether there is such an array."""
        return key in self.arrays

    def take(self, key: str) -> Tensor:
        """Take an array as an input: floats as float32, integers as int64."""
        self.used.add(key)
        tensor = torch.from_numpy(np.asarray(self.arrays[key]))
        return tensor.float() if tensor.is_floating_point() else tensor.long()

    def recorded(self, key: str) -> np.ndarray:
        """Return an array as it is, without counting it as an input."""
        return self.arrays[key]

    def compare(self, key: str, ours: Any, tolerance: Tolerance) -> None:
        """Compare an array with ours."""
        self.add(key, ours, self.arrays[key], tolerance)
        self.used.add(key)

    def compare_names(self, key: str, ours: Collection[str]) -> None:
        """Compare an array of names, as a set: the number that only one side has is 0."""
        recorded = {str(name) for name in self.arrays[key]}
        self.add(f'{key} on one side only', len(recorded ^ set(ours)), 0, EXACT)
        self.used.add(key)

    def add(self, quantity: str, ours: Any, recorded: Any, tolerance: Tolerance) -> None:
        """Compare any quantity of this file."""
        recorded = np.asarray(recorded, dtype=np.float64)
        ours = _as_float64(ours)
        if ours.shape != recorded.shape:
            shapes = f'{quantity}: ours {list(ours.shape)}'
            self.checks.append(
                Check(self.name, shapes, recorded.shape, np.inf, np.inf, str(tolerance), False)
            )
            return
        with np.errstate(invalid='ignore'):  # equal infinities and NaNs have no difference
            error = np.abs(ours - recorded)
        same = (ours == recorded) | (np.isnan(ours) & np.isnan(recorded))
        error = np.where(same, 0.0, np.nan_to_num(error, nan=np.inf))
        finite = np.abs(recorded[np.isfinite(recorded)])
        scale, largest = float(finite.max(initial=0.0)), float(error.max(initial=0.0))
        with np.errstate(invalid='ignore'):
            allowed = tolerance.absolute + tolerance.relative * np.abs(recorded)
        passed = bool((same | (error <= allowed)).all())
        relative = largest / scale if scale else largest
        self.checks.append(
            Check(self.name, quantity, recorded.shape, largest, relative, str(tolerance), passed)
        )

    def left_over(self) -> list[str]:
        """Return the arrays that were neither taken nor compared."""
        return [key for key in self.arrays if key not in self.used]


class GoldenFolder:
    """The files of a golden directory, opened when they are asked for.

    Args:
        path: the directory.

    Raises:
        FileNotFoundError: if it is none, or holds no `state_dict.npz`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / 'state_dict.npz').is_file():
            raise FileNotFoundError(
                f'{self.path} is not a golden directory: there is no state_dict.npz.'
            )
        self.files: dict[str, GoldenFile] = {}

    def has(self, *names: str) -> bool:
        """Tell whether all these files are there."""
        return all((self.path / name).is_file() for name in names)

    def file(self, name: str) -> GoldenFile:
        """Open an .npz file; a .json file has no arrays, its entries are read by `json`."""
        if name not in self.files:
            arrays = {}
            if name.endswith('.npz'):
                with np.load(self.path / name) as archive:
                    arrays = {key: archive[key] for key in archive.files}
            self.files[name] = GoldenFile(name, arrays)
        return self.files[name]

    def json(self, name: str) -> Any:
        """Read a .json file."""
        self.file(name)
        return json.loads((self.path / name).read_text(encoding='utf-8'))


def _as_float64(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)
