"""Convert a published checkpoint: python tools/convert_checkpoint.py SRC DST."""

from __future__ import annotations

import argparse
from collections import Counter

import diffusionret_mm

# isort: split
import torch

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.conversion import (
    LAYOUTS,
    Conversion,
    ConversionError,
    convert_state_dict,
    read_state_dict,
)
from diffusionret_mm.conversion.convert import STAGES
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.models.backbones import OpenCLIPBackbone
from diffusionret_mm.models.checkpoint_check import passport_entry
from diffusionret_mm.storage.files import open_atomically


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Convert a published checkpoint')
    parser.add_argument('source', metavar='SRC', help='published .pth, .pt, .safetensors or .npz')
    parser.add_argument('target', metavar='DST', help='file to write, .pth')
    parser.add_argument(
        '--method',
        choices=sorted(LAYOUTS),
        default='diffusionret',
        help="whose checkpoint it is; 'clip' is OpenAI's own (default: diffusionret)",
    )
    parser.add_argument('--stage', choices=STAGES, help='insist on a stage of DiffusionRet')
    parser.add_argument('--keys', action='store_true', help='list every key')
    return parser.parse_args()


def report(conversion: Conversion, source: dict[str, torch.Tensor], list_keys: bool) -> str:
    """Account for every key of the source."""
    groups: dict[tuple[str, str], list[str]] = {}
    for key, name in conversion.renamed.items():
        groups.setdefault((_module(key), _module(name)), []).append(key)
    for key, why in conversion.dropped.items():
        groups.setdefault((_module(key), f'dropped: {why}'), []).append(key)
    columns = [label('published'), label('here')]
    columns += map(Column, ('tensors', 'parameters', 'precision'))
    rows = []
    for (published, own), keys in groups.items():
        count = sum(source[key].numel() for key in keys)
        rows.append((published, own, len(keys), count, _precision(keys, source)))
    lines = [format_table(columns, rows)]
    left = len(source) - len(conversion.renamed) - len(conversion.dropped)
    lines.append(
        f'{len(source)} keys: {len(conversion.renamed)} converted, {len(conversion.dropped)} '
        f'dropped, {left} of the generators left out'
    )
    lines += [
        f'{name} keeps its start value: {why}'
        for name, why in LAYOUTS[conversion.method].not_saved.items()
    ]
    if list_keys:
        lines += [f'{key} -> {name}' for key, name in conversion.renamed.items()]
        lines += [f'{key} dropped: {why}' for key, why in conversion.dropped.items()]
    return '\n'.join(lines)


def _module(key: str) -> str:
    """The part of a model that a key belongs to."""
    depth = dict(clip=2, backbone=3, generators=3).get(key.split('.')[0], 1)
    return '.'.join(key.split('.')[:-1][:depth]) or key


def _precision(keys: list[str], source: dict[str, torch.Tensor]) -> str:
    counts = Counter(str(source[key].dtype).removeprefix('torch.') for key in keys)
    return ', '.join(f'{count} {dtype}' for dtype, count in counts.items())


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    source = read_state_dict(args.source)
    try:
        conversion = convert_state_dict(source, args.method, args.stage)
    except ConversionError as error:
        raise ConversionError(f'{args.source}: {error}') from error
    meta = dict(
        converted_from=args.method,
        stage=conversion.stage,
        diffusionret_mm_version=diffusionret_mm.__version__,
    )
    if args.method != 'clip':
        passport = OpenCLIPBackbone.read_passport(conversion.model['backbone'])
        meta.update(passport_entry(passport))
    with open_atomically(args.target) as file:
        # OpenAI's own weights are for model.backbone.pretrained, which takes bare tensors.
        bare = args.method == 'clip'
        state = conversion.state_dict
        torch.save(state if bare else dict(state_dict=state, meta=meta), file)
    print(report(conversion, source, args.keys))
    stage = f', stage {conversion.stage}' if conversion.stage else ''
    print(f'Wrote {args.target} ({args.method}{stage}, float32).')


if __name__ == '__main__':
    main()
