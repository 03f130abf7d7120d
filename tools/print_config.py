"""Print a config with everything that it inherits: python tools/print_config.py CONFIG."""

from __future__ import annotations

import argparse

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis.command_line import add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message


@stop_with_message()
def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description='Print a config as it is after inheritance and --cfg-options'
    )
    add_config_options(parser)
    print(read_config(parser.parse_args()).pretty_text)


if __name__ == '__main__':
    main()
