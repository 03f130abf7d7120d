"""Time the encoders: python tools/benchmarks/encode.py.

The first table is the encoding of a split for evaluation, against the published procedure. The
second is a training step of stage one in several variants: the forward and backward pass of both
towers, temporal transformer, WTI and loss, and AdamW; `--device cuda --batch 128` is the published
batch. Weights and images are random. With `--archs` only the encoders named are timed, forward.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from encoder_speed import compare_encoders
from matching import same_ranks
from measuring import RowCount, forget_peak_memory, machine_rate, timed
from mmaction.registry import MODELS
from mmengine.config import Config
from published_encoding import published_encoding
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.engine.memory import peak_memory
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.structures import TextFeatures, VideoFeatures

CONFIG = Path(__file__).parents[2] / 'configs/diffusionret_msrvtt.py'
CONTEXT = 77
# Name of a variant: changes of the backbone, words per text, dtype of autocast.
VARIANTS = {
    'float32': ({}, None, torch.float32),
    'float32, texts of 77 tokens': ({}, CONTEXT, torch.float32),
    'float32, with_cp': ({'with_cp': True}, None, torch.float32),
    'bfloat16': ({}, None, torch.bfloat16),  # on a GPU alone: most CPUs have no such products
}
COLUMNS = ('s/step', 'videos/s', 'of matrix rate', 'kept MB')


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line, or other words in its place."""
    parser = argparse.ArgumentParser(
        description='Time the encoding of a split and a training step of stage one',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--videos', type=int, default=4, help='videos of the split')
    parser.add_argument('--captions', type=int, default=5, help='captions per video; MSVD has 40')
    parser.add_argument(
        '--batch', type=int, default=8, help='videos of a training step; items encoded at a time'
    )
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--words', type=int, default=32)
    parser.add_argument('--arch', default='ViT-B-32-quickgelu', help='name of an open_clip model')
    parser.add_argument(
        '--archs', nargs='+', metavar='ARCH', help='time the towers of these models, and end'
    )
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the tables to this file')
    return parser.parse_args(words)


class Step:
    """One training step of a variant.

    Args:
        args: sizes.
        backbone: changes of the backbone's config.
        words: tokens per text; None takes that of `args`.
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


def draw_split(args: argparse.Namespace) -> dict[str, Tensor]:
    """Images and captions of a split; every fourth video and all captions but one are padded."""
    num_texts = args.videos * args.captions
    own = torch.arange(num_texts) % args.videos
    count = torch.randint(5, 18, (num_texts, 1)).clamp(max=args.words)
    count[0] = args.words
    text_mask = torch.arange(args.words) < count
    ids = torch.randint(1, 40000, text_mask.shape) * text_mask
    ids[torch.arange(num_texts), count[:, 0] - 1] = 49407
    shown = torch.where(torch.arange(args.videos) % 4 == 3, args.frames // 2, args.frames)
    frame_mask = torch.arange(args.frames) < shown[:, None]
    frames = torch.randn(args.videos, args.frames, 3, 224, 224)
    split = dict(
        ids=ids,
        text_mask=text_mask,
        frames=frames * frame_mask[..., None, None, None],
        frame_mask=frame_mask,
        video_of_text=own,
    )
    return {name: value.to(args.device) for name, value in split.items()}


@torch.no_grad()
def our_encoding(
    model: TextVideoRetriever, split: Mapping[str, Tensor], batch: int
) -> tuple[TextFeatures, VideoFeatures]:
    """What the evaluation loop does: each caption and each video once, in batches."""
    texts = [
        model.encode_text(*part)
        for part in zip(split['ids'].split(batch), split['text_mask'].split(batch), strict=True)
    ]
    videos = [
        model.encode_video(*part)
        for part in zip(split['frames'].split(batch), split['frame_mask'].split(batch), strict=True)
    ]
    return TextFeatures.cat(texts), VideoFeatures.cat(videos)


@torch.no_grad()
def compare_encoding(args: argparse.Namespace) -> dict[str, Any]:
    """Encode a split both ways, alternately, and compare the features."""
    model, split = build_model(args, {}).eval(), draw_split(args)
    own = split['video_of_text']
    texts, videos = (split['ids'], split['text_mask']), (split['frames'], split['frame_mask'])
    theirs = (model, texts, videos, own, args.batch)
    forget_peak_memory()
    our_times, published_times, peak = [], [], None
    count, images = RowCount(model.backbone.clip.visual), {}
    for _ in range(args.repeats):
        seconds, ours = timed(lambda: our_encoding(model, split, args.batch), args.device)
        our_times.append(seconds)
        images['ours'] = count.take()
        peak = peak or peak_memory()  # the published side needs more
        seconds, (words, frames) = timed(lambda: published_encoding(*theirs), args.device)
        published_times.append(seconds)
        images['published'] = count.take()
    differences = (
        (ours[0].words - words)[split['text_mask']],
        (ours[1].frames[own] - frames)[split['frame_mask'][own]],
    )
    published = (
        TextFeatures(words, split['text_mask'], ours[0].pooled),
        VideoFeatures(frames[: args.videos], split['frame_mask']),  # caption i is of video i
    )
    scores = [model.similarity(*features) for features in (ours, published)]
    ours_s, published_s = statistics.median(our_times), statistics.median(published_times)
    return dict(
        published_s=published_s,
        ours_s=ours_s,
        ratio=published_s / ours_s,
        max_abs_diff=max(float(difference.abs().max()) for difference in differences),
        same_ranks=same_ranks(*((matrix, matrix, matrix.t()) for matrix in scores), own),
        peak_rss_mb=peak / 1e6,
        images=images,
        sizes={name: getattr(args, name) for name in ('videos', 'captions', 'frames', 'words')},
    )


def time_steps(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time all variants of a training step, one after another."""
    return {
        name: time_step(args, name)
        for name, (*_, dtype) in VARIANTS.items()
        if args.device != 'cpu' or dtype != torch.bfloat16
    }


def time_step(args: argparse.Namespace, name: str) -> dict[str, float]:
    """Time a variant of a training step.

    Args:
        args: sizes.
        name: that of the variant.

    Returns:
        A figure per column.
    """
    step = Step(args, *VARIANTS[name])
    kept = step.kept_bytes()
    with FlopCounterMode(display=False) as counter:
        step()
    seconds = statistics.median(timed(step, args.device)[0] for _ in range(args.repeats))
    del step  # the next one needs the memory
    dtype = VARIANTS[name][-1]
    share = counter.get_total_flops() / seconds / machine_rate(args.device, dtype)
    figures = (seconds, args.batch / seconds, share, kept / 1e6)
    return dict(zip(COLUMNS, figures, strict=True))


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    if args.archs:
        table = compare_encoders(args.archs, args.batch, args.repeats, args.device)
        if args.json:
            args.json.write_text(json.dumps(table, indent=2) + '\n')
        return
    encoding = compare_encoding(args)
    print(
        f'{args.videos} videos of {args.frames} frames, {args.captions} captions each: '
        f'published {encoding["published_s"]:.2f} s, ours {encoding["ours_s"]:.2f} s, '
        f'ratio {encoding["ratio"]:.1f}; largest difference {encoding["max_abs_diff"]:.0e}, '
        f'same ranks: {encoding["same_ranks"]}; peak memory {encoding["peak_rss_mb"]:.0f} MB\n'
    )
    table = time_steps(args)
    columns = [label('step'), *(Column(name, number='.3f') for name in COLUMNS)]
    print(format_table(columns, [[name, *row.values()] for name, row in table.items()]))
    print(f'median of {args.repeats}; matrix rate: a 4096^3 product in the same dtype')
    if args.json:
        args.json.write_text(json.dumps(encoding | dict(steps=table), indent=2) + '\n')


if __name__ == '__main__':
    main()
