"""Run by a test: builds or opens a cache, and says by files how far it is."""

import sys
import time
from pathlib import Path

import diffusionret_mm  # noqa: F401

# isort: split
import torch

from diffusionret_mm.features import open_or_build

root, name = Path(sys.argv[1]), sys.argv[2]


def say(state):
    (root.parent / f'{name}.{state}').touch()


def fill(writer):
    writer.append('frames', torch.zeros(2, 4, 8))
    say('building')
    while not (root.parent / 'go').exists():
        time.sleep(0.05)
    writer.append('frame_mask', torch.ones(2, 4, dtype=torch.bool))
    writer.append('words', torch.zeros(6, 8))
    writer.append('text_mask', torch.ones(3, 2, dtype=torch.bool))
    writer.append('pooled', torch.zeros(3, 8))
    writer.append('video_index', torch.arange(2))
    writer.append('texts_of_video', torch.tensor([1, 2]))


def log(text):
    if text.startswith('Waiting'):
        say('waiting')


assert open_or_build(root, dict(weights='w'), fill, log).num_texts == 3
say('done')
