"""Export the encoders of a checkpoint to ONNX: python tools/export_onnx.py CONFIG [CHECKPOINT]."""

from __future__ import annotations

import argparse
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.command_line import add_checkpoint, add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.apis.weights import load_weights
from diffusionret_mm.export import export_encoders


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Export the encoders of a checkpoint to ONNX and compare them with torch'
    )
    add_config_options(parser)
    add_checkpoint(parser)
    parser.add_argument('--out', type=Path, default=Path('onnx'), help='folder to make')
    parser.add_argument(
        '--tolerance', type=float, default=1e-4, help='largest relative error; default 1e-4'
    )
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run.

    Raises:
        SystemExit: if the encoders cannot be exported or differ from torch; it says why.
    """
    args = parse_args()
    cfg = read_config(args)
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    model = MODELS.build(cfg.model).eval()
    load_weights(model, args.checkpoint)
    errors = export_encoders(model, args.out, args.tolerance)
    for name, error in errors.items():
        print(f'{name}: largest relative error {error:.1e} (tolerance {args.tolerance:.0e})')
    for path in sorted(args.out.iterdir()):
        print(f'{path}  {path.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
