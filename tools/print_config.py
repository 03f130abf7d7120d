"""Print a config with everything that it inherits: python tools/print_config.py CONFIG."""

from __future__ import annotations

import argparse

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis.backbone import follow_backbone
from diffusionret_mm.apis.command_line import add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message


@stop_with_message()
def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description='Print a config after inheritance and options, with what follows the backbone'
    )
    add_config_options(parser)
    cfg = read_config(parser.parse_args())
    follow_backbone(cfg)
    print(cfg.pretty_text)


if __name__ == '__main__':
    main()
