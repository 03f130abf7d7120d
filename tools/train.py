"""Train a retriever: python tools/train.py CONFIG."""

from __future__ import annotations

import argparse
import os

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmengine.config import Config

from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.command_line import add_run_options, leave_processes, load_config
from diffusionret_mm.apis.run import use_amp
from diffusionret_mm.apis.user_errors import stop_with_message


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Train a retriever, then test its best checkpoint')
    add_run_options(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help="continue from a checkpoint, or (no path, or 'auto') from the last of the work dir",
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='float16',
        choices=['float16', 'bfloat16'],
        help='automatic mixed precision on a GPU; float16 (default) scales the loss',
    )
    parser.add_argument('--no-validate', action='store_true', help='do not validate on the way')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help="scale lr to the config's base batch size"
    )
    parser.add_argument('--seed', type=int, help='random seed')
    parser.add_argument(
        '--diff-rank-seed', action='store_true', help='another seed on every process'
    )
    parser.add_argument(
        '--deterministic', action='store_true', help='deterministic algorithms of cuDNN'
    )
    return parser.parse_args()


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Write the options of the command line into the config."""
    if args.resume is not None:
        if args.resume == 'auto':
            cfg.resume = 'auto'  # keeps load_from, for a run that has no checkpoint yet
        else:
            cfg.resume, cfg.load_from = True, args.resume
    if args.amp is not None:
        use_amp(cfg, args.amp)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.default_hooks.checkpoint.save_best = None
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    if args.seed is not None:
        cfg.randomness.seed = args.seed
    cfg.randomness.diff_rank_seed = args.diff_rank_seed
    cfg.randomness.deterministic = args.deterministic
    return cfg


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    train_retriever(merge_args(load_config(args), args))
    leave_processes()


if __name__ == '__main__':
    main()
