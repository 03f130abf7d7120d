"""Encode images on a CPU in small parts or at once: tools/benchmarks/image_parts.py --arch ARCH.

Without gradient, the backbone encodes a large batch on a CPU in parts of `CPU_PIXELS`, each core
its own. The other side gives the whole batch to the image tower. Weights and images are random.
"""

from __future__ import annotations

import argparse
import statistics

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from measuring import forget_peak_memory, memory_mb, timed

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.models.backbones import OpenCLIPBackbone


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Encode images in small parts or at once',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--arch', default='MobileCLIP2-S0', help='name of an open_clip model')
    parser.add_argument('--images', type=int, default=64, help='images of a batch')
    parser.add_argument('--repeats', type=int, default=3, help='batches of each side')
    return parser.parse_args()


@stop_with_message()
@torch.no_grad()
def main() -> None:
    """Run.

    Raises:
        SystemExit: if the features of both sides differ by more than rounding.
    """
    args = parse_args()
    torch.manual_seed(0)
    backbone = OpenCLIPBackbone(args.arch).eval()
    images = torch.randn(args.images, 3, *backbone.passport.image_size)
    mask = torch.ones(1, args.images, dtype=torch.bool)
    sides = {
        'in parts': lambda: backbone.encode_frames(images[None], mask)[0],
        'at once': lambda: backbone.clip.encode_image(images),
    }
    backbone.clip.encode_image(images[:1])
    rows, features = {}, []
    for name, encode in sides.items():
        forget_peak_memory()
        before = memory_mb('VmHWM')
        runs = [timed(encode, 'cpu') for _ in range(args.repeats)]
        seconds = statistics.median(seconds for seconds, _ in runs)
        features.append(runs[0][1])
        rows[name] = seconds, args.images / seconds, memory_mb('VmHWM') - before
    columns = [
        label('images'),
        Column('time', 's', number='.2f'),
        Column('images/s', number='.1f'),
        Column('memory', 'MB', number=',.0f'),
    ]
    print(format_table(columns, [[name, *row] for name, row in rows.items()]))
    print(f'ratio of the times: {rows["at once"][0] / rows["in parts"][0]:.2f}')
    difference = float((features[0] - features[1]).abs().max() / features[1].abs().max())
    print(f'largest difference: {difference:.0e} of the largest feature')
    if difference > 1e-4:
        raise SystemExit('The features of both sides differ.')


if __name__ == '__main__':
    main()
