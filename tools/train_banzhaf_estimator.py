"""Train HBI's estimator of interactions: python tools/train_banzhaf_estimator.py CONFIG OUT."""

from __future__ import annotations

import argparse
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmengine.config import DictAction
from mmengine.logging import MMLogger

from diffusionret_mm.apis.banzhaf import train_estimator
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.storage.checkpoints import save_checkpoint_file


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train the network that estimates Banzhaf interactions of words and frames, '
        'which configs/hbi/ take as model.estimator'
    )
    parser.add_argument('config', help='config of a retriever that ranks by WTI: configs/drl/')
    parser.add_argument('out', type=Path, help='file to write, .pth')
    parser.add_argument(
        '--checkpoint', help='checkpoint of the config; default: its pre-trained CLIP'
    )
    parser.add_argument('--iterations', type=int, default=700, help='batches to train on')
    parser.add_argument('--coalitions', type=int, default=100, help='coalitions drawn per pair')
    parser.add_argument('--seed', type=int, default=0, help='random seed')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, such as data_root=...',
    )
    args = parser.parse_args()
    for name in ('iterations', 'coalitions'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1; got {getattr(args, name)}')
    return args


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    cfg = read_config_file(args.config, args.cfg_options)
    logger = MMLogger.get_instance('mmengine')
    network, explained = train_estimator(
        cfg, args.checkpoint, args.iterations, args.coalitions, seed=args.seed
    )
    save_checkpoint_file(network.state_dict(), args.out)
    logger.info(
        f'The estimator explains {explained:.0%} of the variance of its labels. Written: {args.out}'
    )


if __name__ == '__main__':
    main()
