"""Time a training step of stage one: python tools/benchmarks/encode.py --batch 8.

One step is the forward and backward pass of both towers, temporal transformer, WTI and loss, and
AdamW, on random weights and images. `--device cuda --batch 128` is the published batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from measuring import machine_rate, timed
from mmaction.registry import MODELS
from mmengine.config import Config
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from diffusionret_mm.models.retrievers import TextVideoRetriever

CONFIG = Path(__file__).parents[2] / 'configs/_base_/models/diffusionret_vit-b32.py'
CONTEXT = 77
# Name of a variant: changes of the backbone, words a text, dtype of autocast.
VARIANTS = {
    'float32': ({}, None, torch.float32),
    'float32, texts of 77 tokens': ({}, CONTEXT, torch.float32),
    'float32, with_cp': ({'with_cp': True}, None, torch.float32),
    'bfloat16': ({}, None, torch.bfloat16),  # on a GPU alone: most CPUs have no such products
}
COLUMNS = ('s/step', 'videos/s', 'of matrix rate', 'kept MB')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Time a training step of stage one',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--batch', type=int, default=8, help='videos, each with one text')
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--words', type=int, default=32)
    parser.add_argument('--arch', default='ViT-B-32-quickgelu', help='name of an open_clip model')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the table to this file')
    return parser.parse_args()


class Step:
    """One training step of a variant.

    Args:
        args: sizes.
        backbone: changes of the backbone's config.
        words: tokens a text; None takes that of `args`.
        dtype: dtype of autocast.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        backbone: Mapping[str, Any],
        words: int | None,
        dtype: torch.dtype,
    ) -> None:
        self.dtype, self.device = dtype, torch.device(args.device)
        self.model = build_model(args, backbone)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6)
        self.inputs = draw_inputs(args, words or args.words)

    def __call__(self) -> None:
        """Train."""
        self.forward().backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def forward(self) -> Tensor:
        """Return the loss."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return sum(self.model(self.inputs, mode='loss').values())

    def kept_bytes(self) -> int:
        """Return the size of what the backward pass keeps, without weights and inputs."""
        own = {tensor.data_ptr() for tensor in (*self.model.parameters(), *self.inputs.values())}
        sizes: dict[int, int] = {}

        def note(x: Tensor) -> Tensor:
            storage = x.untyped_storage()
            if x.data_ptr() not in own:
                sizes[storage.data_ptr()] = storage.nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            loss = self.forward()
        del loss
        return sum(sizes.values())


def build_model(args: argparse.Namespace, backbone: Mapping[str, Any]) -> TextVideoRetriever:
    """The model of the configs in its first stage, with random weights."""
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.update(arch=args.arch, pretrained=None, **backbone)
    cfg.stage = 'discrimination'
    return MODELS.build(cfg).to(args.device).train()


def draw_inputs(args: argparse.Namespace, words: int) -> dict[str, Tensor]:
    """A batch of random images and texts, normalised and on the device."""
    rows = torch.arange(args.batch)
    count = torch.full((args.batch, 1), min(args.words, words))
    ids = torch.randint(1, 40000, (args.batch, words))
    ids[rows, count[:, 0] - 1] = 49407  # end of text: the largest id
    inputs = dict(
        ids=ids,
        text_mask=torch.arange(words) < count,
        frames=torch.randn(args.batch, args.frames, 3, 224, 224),
        frame_mask=torch.ones(args.batch, args.frames, dtype=torch.bool),
        video_of_text=rows,
        video_index=rows,
    )
    return {name: value.to(args.device) for name, value in inputs.items()}


def measure(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time all variants, one after another."""
    table = {}
    for name, (backbone, words, dtype) in VARIANTS.items():
        if args.device == 'cpu' and dtype == torch.bfloat16:
            continue
        step = Step(args, backbone, words, dtype)
        kept = step.kept_bytes()
        with FlopCounterMode(display=False) as counter:
            step()
        seconds = statistics.median(timed(step, args.device)[0] for _ in range(args.repeats))
        del step  # the next one needs the memory
        share = counter.get_total_flops() / seconds / machine_rate(args.device, dtype)
        figures = (seconds, args.batch / seconds, share, kept / 1e6)
        table[name] = dict(zip(COLUMNS, figures, strict=True))
    return table


def main() -> None:
    """Run."""
    args = parse_args()
    table = measure(args)
    print(f'{"":<30}' + ''.join(f'{column:>16}' for column in COLUMNS))
    for name, row in table.items():
        print(f'{name:<30}' + ''.join(f'{value:>16.3f}' for value in row.values()))
    print(f'median of {args.repeats}; matrix rate: a 4096^3 product in the same dtype')
    if args.json:
        args.json.write_text(json.dumps(table, indent=2))


if __name__ == '__main__':
    main()
