"""Serve a web page that searches a gallery: python tools/demo.py CONFIG CHECKPOINT GALLERY."""

from __future__ import annotations

import argparse
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis.command_line import (
    add_gallery_options,
    add_inferencer_options,
    build_inferencer,
)
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.annotation_files import read_lines
from diffusionret_mm.demo.page import build_app
from diffusionret_mm.demo.service import DemoService
from diffusionret_mm.extras import import_extra
from diffusionret_mm.search import Gallery


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Serve a web page that searches a gallery',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_inferencer_options(parser)
    add_gallery_options(parser)
    parser.add_argument(
        '--sentences', type=Path, metavar='FILE', help='captions to choose from, one per line'
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on; 0.0.0.0 lets others in'
    )
    parser.add_argument('--port', type=int, default=7860)
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    uvicorn = import_extra('uvicorn', 'demo')
    sentences = read_lines(args.sentences) if args.sentences else []
    inferencer = build_inferencer(args, show_progress=False)
    app = build_app(DemoService(inferencer, Gallery(args.gallery, args.root), sentences))
    uvicorn.run(app, host=args.host, port=args.port, log_level='warning')


if __name__ == '__main__':
    main()
