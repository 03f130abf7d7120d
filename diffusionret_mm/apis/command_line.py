"""Options that the command line tools share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction

from diffusionret_mm.apis.backbone import use_backbone
from diffusionret_mm.apis.inferencer import TextVideoInferencer
from diffusionret_mm.apis.weights import PRETRAINED, checkpoint_argument
from diffusionret_mm.datasets.spans import MOMENTS, Moments
from diffusionret_mm.engine.config_files import read_config_file, set_options


def add_run_options(parser: argparse.ArgumentParser, checkpoint: bool = False) -> None:
    """Add the options of every tool that runs a config.

    Args:
        parser: parser to add them to.
        checkpoint: whether a checkpoint follows the config.
    """
    parser.add_argument('config', help='config file')
    if checkpoint:
        add_checkpoint(parser, nargs='?')
    _add_backbone_option(parser)
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    _add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes the one spelling, older launchers the other.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_inferencer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the tools that put a trained retriever to work.

    Args:
        parser: parser to add them to.
    """
    add_config_options(parser)
    add_checkpoint(parser)
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    parser.add_argument(
        '--onnx', metavar='DIR', help='run the encoders that tools/export_onnx.py wrote to DIR'
    )


def add_gallery_options(parser: argparse.ArgumentParser) -> None:
    """Add a gallery, and where its videos are."""
    parser.add_argument('gallery', help='folder of the gallery, or its address (s3://BUCKET/PATH)')
    parser.add_argument(
        '--root',
        nargs=1,
        action=AddRoot,
        default={},
        metavar='NAME=FOLDER',
        help='where the library NAME of the gallery is now; may be given several times',
    )


def add_indexing_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the tools that index videos."""
    add_inferencer_options(parser)
    parser.add_argument('videos', nargs='+', help='folders of videos, video files, or both')
    add_gallery_options(parser)
    parser.add_argument('--batch-size', type=int, default=32, help='videos encoded at a time')
    parser.add_argument(
        '--time-limit',
        type=float,
        metavar='SECONDS',
        help='give a video up after these, and one more for each 250 kB (default: 60); of a video '
        'that is cut, after so long without a moment',
    )
    parser.add_argument(
        '--moments',
        choices=MOMENTS,
        help=f'cut videos into {Moments("windows")}, or into shots (default: as in the gallery, '
        'or none for a new one: a video is found as a whole)',
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='let a new gallery keep frames in 8 bits: half the disk, scores to 3e-4',
    )


def moments_option(args: argparse.Namespace) -> Moments | None:
    """Return the moments of a command line with the options of `add_indexing_options`."""
    return None if args.moments is None else Moments(args.moments)


class AddRoot(argparse.Action):
    """Collects the NAME=FOLDER of an option that may be given several times into a dict."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add one."""
        name, sign, folder = values[0].partition('=')
        if not (name and sign and folder):
            parser.error(f'{option_string} wants NAME=FOLDER; got {values[0]!r}')
        roots = getattr(namespace, self.dest) | {name: folder}
        setattr(namespace, self.dest, roots)


def add_checkpoint(parser: argparse.ArgumentParser, **kwargs: Any) -> None:
    """Add the checkpoint, for which the word 'pretrained' may stand.

    Args:
        parser: parser to add it to.
        **kwargs: of `add_argument`, such as `nargs='?'` where nothing stands behind it.
    """
    parser.add_argument(
        'checkpoint',
        type=checkpoint_argument,
        help=f"checkpoint file, or '{PRETRAINED}' for a config whose weights are all pre-trained",
        **kwargs,
    )


def build_inferencer(args: argparse.Namespace, **kwargs: Any) -> TextVideoInferencer:
    """Build the inferencer of a command line with the options of `add_inferencer_options`.

    Args:
        args: the parsed command line.
        **kwargs: further arguments of `TextVideoInferencer`.
    """
    named = dict(device=args.device, onnx=args.onnx)
    return TextVideoInferencer(read_config(args), args.checkpoint, **named, **kwargs)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add a config and what overrides it, for tools that run nothing."""
    parser.add_argument('config', help='config file')
    _add_backbone_option(parser)
    _add_cfg_options(parser)


def read_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line with the options of `add_config_options`.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: if it cannot be read, an option cannot be set, or names a hook by its place;
            or if open_clip knows no such backbone.
    """
    cfg = read_config_file(args.config)
    if args.backbone is not None:
        use_backbone(cfg, args.backbone)
    if args.cfg_options:
        _refuse_places_of_hooks(cfg, args.cfg_options)
        set_options(cfg, args.cfg_options, args.config)
    return cfg


def _refuse_places_of_hooks(cfg: Config, options: dict[str, Any]) -> None:
    """Refuse `custom_hooks.0.begin` and the like: hooks of our configs have names.

    Raises:
        ValueError: if there is such an option.
    """
    for key in options:
        if key.startswith('custom_hooks.') and not cfg.get('custom_hooks'):
            raise ValueError(
                f'{key} names a hook by its place in a list. Hooks have names now: '
                'default_hooks.stage_switch.OPTION for the StageSwitchHook, '
                'default_hooks.feature_cache.OPTION for the FeatureCacheHook.'
            )


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a run.

    Args:
        args: namespace with the options of `add_run_options`.

    Returns:
        The config with its overrides, launcher and a work dir, `work_dirs/CONFIG_NAME` if none is
        given.

    Raises:
        FileNotFoundError: if there is no such config.
    """
    cfg = read_config(args)
    cfg.launcher = args.launcher
    name = Path(args.config).stem
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / name)
    return cfg


def _add_backbone_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--backbone',
        metavar='ARCH[:TAG]',
        help='an encoder of open_clip in place of that of the config, such as PE-Core-B-16, '
        'ViT-B-16:dfn2b, ARCH:FILE with a weight file, or ARCH:none for random weights',
    )


def _add_cfg_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, such as train_dataloader.batch_size=32',
    )


def leave_processes() -> None:
    """Leave the process group of a launcher, at the end of a tool.

    A process that exits while its communication threads run may abort (gloo: "terminate called
    without an active exception"), and the launcher then reports a failure.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
