"""The record of a run: its code, command, data and protocol."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.storage.files import write_json
from diffusionret_mm.storage.fingerprint import sha256_of

PACKAGES = (
    'diffusionret_mm',
    'torch',
    'torchvision',
    'mmengine',
    'mmaction2',
    'mmcv',
    'mmcv-lite',
    'open_clip_torch',
    'diffusers',
    'numpy',
    'opencv-python',
    'opencv-python-headless',
    'decord',
    'av',
)
# Settings of docs/protocol.md; those that a config does not set have the defaults named there.
PROTOCOL = (
    'choose_on_test',
    'test_evaluator.ties',
    'test_evaluator.grouping',
    'test_evaluator.post_processing',
    'model.similarity.padding',
    'model.generator.attention.masking',
    'model.loss.contrastive.same_video',
    'model.same_video',
    'model.negatives',
    'model.noise_seed',
    'train_dataloader.dataset.item',
    'train_dataloader.dataset.captions_per_video',
    'train_dataloader.dataset.bad_videos',
    'optim_wrapper.optimizer.type',
)


def environment() -> dict[str, Any]:
    """Return versions, machine and devices."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return dict(
        python=sys.version.split()[0],
        platform=platform.platform(),
        host=platform.node(),
        devices=devices or [f'CPU, {os.cpu_count()} cores'],
        cuda=torch.version.cuda,
        packages=versions,
    )


def source_state(folder: Path) -> dict[str, Any] | None:
    """Return commit and changed files of the source tree.

    Args:
        folder: folder of the package.

    Returns:
        `commit` and `changed`, the changed tracked files; None if git does not track the folder.
    """
    try:
        tracked = _git(folder, 'ls-files', '__init__.py')
        commit = _git(folder, 'rev-parse', 'HEAD').strip()
        changed = _git(folder, 'status', '--porcelain', '--untracked-files=no')
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(commit=commit, changed=changed.splitlines()) if tracked else None


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """Return the size of a data set, and the files that define it with their checksums.

    Args:
        dataset: a data set of any class; the captions of a `TextVideoDataset` are counted.
    """
    described: dict[str, Any] = dict(type=type(dataset).__name__, items=len(dataset))
    files: Sequence[Any] = ()
    if isinstance(dataset, TextVideoDataset):
        files = (*dataset.annotation_files, dataset.manifest)
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        described.update(
            videos=len({info['video_index'] for info in infos}),
            captions=sum(len(info['captions']) for info in infos),
        )
    elif isinstance(dataset, BaseDataset):
        files = (dataset.ann_file,)
    described['files'] = {
        str(path): sha256_of(path) for path in files if path and os.path.isfile(path)
    }
    return described


def protocol_of(cfg: Config) -> dict[str, Any]:
    """Return the settings of docs/protocol.md that a config makes, and how it reads videos."""
    found = {key: _setting(cfg, key) for key in PROTOCOL}
    chosen = {key: value for key, value in found.items() if value is not None}
    for split in ('train', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            steps = _steps(loader['dataset'].get('pipeline') or ())
            chosen[f'{split}_dataloader.dataset.pipeline'] = list(steps)
    return chosen


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Append a record to a JSON list; the file is whole at any time.

    Args:
        path: the file; one that cannot be read is replaced.
        record: what JSON can hold; anything else becomes its text.
    """
    write_records(path, [*read_records(path), record])


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file, none if it is missing or no JSON list."""
    try:
        records = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return []
    return records if isinstance(records, list) else []


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records as a JSON list, atomically."""
    write_json(path, records, indent=1, default=str)


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(
        ['git', '-C', str(folder), *command], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def _setting(cfg: Any, key: str) -> Any:
    """Value of a dotted key; None if it is not set."""
    for name in key.split('.'):
        cfg = cfg[0] if isinstance(cfg, list) and cfg else cfg
        cfg = cfg.get(name) if isinstance(cfg, Mapping | Config) else None
    return cfg


def _steps(pipeline: Sequence[Any]) -> Iterator[str]:
    """Steps of a pipeline as one would call them, those within others too."""
    for step in pipeline:
        step = dict(step)
        inner = step.pop('transforms', None)
        kind = step.pop('type')
        yield f'{kind}({", ".join(f"{key}={value}" for key, value in step.items())})'
        if inner is not None:
            yield from _steps(inner)
