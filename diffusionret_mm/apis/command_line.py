"""Options that the command line tools share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction

from diffusionret_mm.apis.backbone import use_backbone
from diffusionret_mm.engine.config_files import read_config_file, set_options
from diffusionret_mm.search import GalleryError


def add_run_options(parser: argparse.ArgumentParser, checkpoint: bool = False) -> None:
    """Add the options of every tool that runs a config.

    Args:
        parser: parser to add them to.
        checkpoint: whether a checkpoint follows the config.
    """
    parser.add_argument('config', help='config file')
    if checkpoint:
        add_checkpoint(parser)
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


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add a checkpoint that may be left out, as the last positional argument."""
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file; none is needed for a config whose weights are all pre-trained',
    )


def add_model_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options that say which model a gallery is made or searched with.

    Args:
        parser: parser to add them to.
        default: what the config is if none is given.
    """
    parser.add_argument('--config', metavar='FILE', help=f'config file (default: {default})')
    parser.add_argument(
        '--checkpoint',
        metavar='FILE',
        help="checkpoint file (default: the gallery's; for a new one, the pre-trained weights of "
        'the config)',
    )
    _add_backbone_option(parser)
    _add_cfg_options(parser)
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    parser.add_argument(
        '--onnx', metavar='DIR', help='run the encoders that tools/export_onnx.py wrote to DIR'
    )


def not_a_config(command: str) -> Callable[[str], str]:
    """Return a type of an argument that refuses the order of arguments of earlier versions.

    Args:
        command: the new order.
    """

    def check(text: str) -> str:
        if text.endswith('.py'):
            raise GalleryError(
                f'{text} is a config, which is no longer the first argument; the order is now: '
                f'{command} [--config CONFIG --checkpoint CHECKPOINT].'
            )
        return text

    return check


def add_gallery_options(parser: argparse.ArgumentParser, order: str) -> None:
    """Add a gallery, and where its videos are.

    Args:
        parser: parser to add them to.
        order: all arguments in order, for those who type that of earlier versions.
    """
    parser.add_argument(
        'gallery',
        type=not_a_config(f'{parser.prog} {order}'),
        help='folder of the gallery, or its address (s3://BUCKET/PATH)',
    )
    parser.add_argument(
        '--root',
        nargs=1,
        action=AddRoot,
        default={},
        metavar='NAME=FOLDER',
        help='where the library NAME of the gallery is now; may be given several times',
    )


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
    adapt_config(cfg, args.config, args.backbone, args.cfg_options)
    return cfg


def adapt_config(
    cfg: Config, name: str, backbone: str | None, options: Mapping[str, Any] | None
) -> None:
    """Apply `--backbone` and `--cfg-options` to a config.

    Args:
        cfg: the config; it is changed.
        name: what it is called in messages.
        backbone: as of `use_backbone`, or None.
        options: settings under dotted keys, or None.

    Raises:
        ValueError: if open_clip knows no such backbone, an option cannot be set, or names a hook by
            its place.
    """
    if backbone is not None:
        use_backbone(cfg, backbone)
    if options:
        _refuse_places_of_hooks(cfg, options)
        set_options(cfg, options, name)


def _refuse_places_of_hooks(cfg: Config, options: Mapping[str, Any]) -> None:
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
