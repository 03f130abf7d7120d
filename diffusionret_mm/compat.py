"""Work-arounds for defects of the packages this project stands on, one function each.

`apply()` runs those that the installed versions need. It must run before `mmaction.models`
is imported, is cheap and may run any number of times. Each function says what breaks, in which
versions, where it is reported, and when it can go.
"""

import functools
import importlib.metadata
import importlib.util
import inspect
import logging
import os
import re
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import config as config_module
from mmengine.dist import utils as dist_utils
from mmengine.fileio import file_client
from mmengine.logging import MMLogger
from mmengine.optim.scheduler.param_scheduler import LinearParamScheduler
from mmengine.runner import checkpoint as checkpoint_module
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.utils import package_utils

Load = Callable[[str, Any], Any]
Save = Callable[[Any, str], None]


def apply(load_checkpoint: Load, save_checkpoint: Save) -> None:
    """Run every work-around that the installed versions need.

    Args:
        load_checkpoint: Loads a local checkpoint: filename and `map_location` to its content.
        save_checkpoint: Saves a local checkpoint: content and filename.
    """
    silence_mmcv_lite()
    silence_file_client()
    silence_random_weights()
    replace_pkg_resources()
    register_checkpoint_loader(load_checkpoint)
    save_checkpoints_atomically(save_checkpoint)
    format_configs_once()
    provide_drn()
    disable_broken_multimodal()
    allow_distributed_cpu()
    end_warm_ups_of_one_step()


def silence_mmcv_lite() -> None:
    """Silence mmcv-lite's warning that `MultiScaleDeformableAttention` is missing.

    mmcv-lite has no compiled operators and says so at every start, although nothing here uses
    them. Versions: mmcv-lite 2.x. Can go with the dependency on mmcv-lite.
    """
    warnings.filterwarnings(
        'ignore',
        message='Fail to import ``MultiScaleDeformableAttention``',
        category=UserWarning,
        module=r'mmcv\.cnn\.bricks\.transformer',
    )


def silence_file_client() -> None:
    """Silence mmengine's messages that `FileClient` and `HardDiskBackend` are deprecated.

    mmaction2's loading transforms (`DecordInit`, `PyAVInit`, ...) make a `FileClient` at
    the first item of each loader worker, so both come once per worker and epoch, and a user can do
    nothing about it. Versions: mmengine 0.2 to 0.10 with mmaction2 1.x. Can go when
    mmaction2 uses `mmengine.fileio` functions.
    """
    silenced = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')
    original = file_client.print_log
    if getattr(original, '_drops_deprecation', False):
        return

    @functools.wraps(original)
    def print_log(msg: Any, *args: Any, **kwargs: Any) -> None:
        if not str(msg).startswith(silenced):
            original(msg, *args, **kwargs)

    marked: Any = print_log
    marked._drops_deprecation = True
    file_client.print_log = marked


def silence_random_weights() -> None:
    """Silence open_clip's warning that a model was "initialized randomly".

    It comes whenever a model is built, and weights are loaded later here, by `init_weights` or with
    a checkpoint. Versions: open_clip_torch 2.x and 3.x. Can go when models are built in silence.
    """
    logging.getLogger().addFilter(_is_not_of_random_weights)


def _is_not_of_random_weights(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith('No pretrained weights loaded for model')


def replace_pkg_resources() -> None:
    """Let mmengine find installed packages without `pkg_resources`.

    `_base_ = 'mmaction::...'` and `mmengine.hub` import `pkg_resources`, which setuptools
    removed in 82. Versions: mmengine up to 0.10.7 (open-mmlab/mmcv#3325 is the same defect in
    mmcv). Can go when mmengine uses `importlib.metadata`.
    """
    if importlib.util.find_spec('pkg_resources') is not None:
        return
    for replacement in (is_installed, get_installed_path):
        _replace_in_mmengine(getattr(package_utils, replacement.__name__), replacement)


def _replace_in_mmengine(original: Callable, replacement: Callable) -> None:
    """Replace a function in the modules that imported it by name, too."""
    name = original.__name__
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith('mmengine') and vars(module).get(name) is original:
            setattr(module, name, replacement)


def is_installed(package: str) -> bool:
    """Tell whether a distribution or a regular package of this name is installed."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None
    return True


def get_installed_path(package: str) -> str:
    """Return the folder of an installed package, named by its module or its distribution.

    Raises:
        PackageNotFoundError: nothing of this name is installed.
        RuntimeError: it is a namespace package, which has no single folder.
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        top_level = importlib.metadata.distribution(package).read_text('top_level.txt') or ''
        module = next(iter(top_level.split()), package)
        spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise RuntimeError(f'{package} has no folder: it is a namespace package or has no module.')
    return os.path.dirname(spec.origin)


def provide_drn() -> None:
    """Stand in for `mmaction.models.localizers.drn`, which the wheel lacks.

    `import mmaction.models` raises `ModuleNotFoundError`, because the folder has no
    `__init__.py` and was left out of the wheel. Versions: mmaction2 1.1.0 to 1.2.0
    (open-mmlab/mmaction2#2714, fix in #2721 not merged). Can go with a release that has the folder.
    """
    spec = importlib.util.find_spec('mmaction')
    name = 'mmaction.models.localizers.drn'
    if spec is None or spec.origin is None or f'{name}.drn' in sys.modules:
        return
    if Path(spec.origin).with_name('models').joinpath('localizers', 'drn', 'drn.py').is_file():
        return
    from mmaction.registry import MODELS

    package, module = types.ModuleType(name), types.ModuleType(f'{name}.drn')
    missing = type('DRN', (), {'__init__': _refuse_drn, '__module__': module.__name__})
    package.__path__ = []
    vars(module)['DRN'] = missing
    MODELS.register_module(module=missing)
    sys.modules.update({package.__name__: package, module.__name__: module})


def _refuse_drn(*args: Any, **kwargs: Any) -> None:
    raise ImportError(
        'DRN is missing from the wheel of mmaction2 (open-mmlab/mmaction2#2714). To use it, clone '
        'https://github.com/open-mmlab/mmaction2 and install it with "pip install -e".'
    )


def disable_broken_multimodal() -> None:
    """Switch mmaction2's multimodal models off where their import would fail.

    mmaction2 imports them as soon as any `transformers>=4.28` is installed. They need names
    that `transformers.modeling_utils` no longer has (gone in 4.57, there in 4.48), and timm,
    which is not asked for; then `import mmaction.models` raises `ImportError`. Switched off,
    mmaction2 registers placeholders that ask for its extra. Versions: mmaction2 1.2.0, no issue
    reported. Can go when mmaction2 imports these names from `transformers.pytorch_utils`.
    """
    from mmaction.utils import dependency

    if dependency.WITH_MULTIMODAL and not _multimodal_importable():
        dependency.WITH_MULTIMODAL = False


def _multimodal_importable() -> bool:
    """Look for the names in the source, because importing them takes seconds at every start."""
    names = ('apply_chunking_to_forward', 'find_pruneable_heads_and_indices', 'prune_linear_layer')
    source = _source_of('transformers', 'modeling_utils.py')
    has_names = all(re.search(rf'\b{name}\b', source) for name in names)
    return has_names and bool(_source_of('timm', 'models', 'layers', '__init__.py'))


def _source_of(package: str, *path: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ''
    file = Path(spec.origin).parent.joinpath(*path)
    return file.read_text(encoding='utf-8') if file.is_file() else ''


def register_checkpoint_loader(load_checkpoint: Load) -> None:
    """Make mmengine read local checkpoints with a loader of ours.

    mmengine calls `torch.load(filename)`. Since torch 2.6 that refuses what mmengine saves itself
    (`HistoryBuffer`, numpy arrays), so resuming fails. Before torch 2.6 it runs whatever code the
    file contains. Versions: mmengine up to 0.10.7 (open-mmlab/mmengine#1655, #1650). Can
    go when mmengine loads its checkpoints with `weights_only=True`.
    """

    # mmengine logs the name of the loader without `load_from_`.
    def load_from_local(filename: str, map_location: Any = None) -> Any:
        return load_checkpoint(filename, map_location)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)


def save_checkpoints_atomically(save_local: Save) -> None:
    """Make mmengine write local checkpoints whole or not at all, by a function of ours.

    mmengine opens the file under its final name and writes into it. A process that is killed, or a
    full disk, leaves half a checkpoint in place of the whole one of that name, and
    `last_checkpoint` points to it. It also makes a second copy of the checkpoint in memory first.
    Versions: mmengine up to 0.10.7 (no issue known). Can go when its `LocalBackend.put` renames.
    """
    original = checkpoint_module.save_checkpoint
    if getattr(original, '_is_atomic', False):
        return

    @functools.wraps(original)
    def save_checkpoint(
        checkpoint: dict,
        filename: str,
        file_client_args: dict | None = None,
        backend_args: dict | None = None,
    ) -> None:
        if file_client_args or backend_args or '://' in str(filename):
            original(checkpoint, filename, file_client_args, backend_args)
        else:
            save_local(checkpoint, filename)

    marked: Any = save_checkpoint
    marked._is_atomic = True
    _replace_in_mmengine(original, marked)


def format_configs_once() -> None:
    """Let yapf format a config once, not again at every checkpoint.

    `Config.pretty_text` formats its text anew each time that it is asked for, which takes a third
    of a second for a config of ours. mmengine asks for it whenever it saves a checkpoint.
    Versions: mmengine up to 0.10.7 (no issue known). Can go when mmengine remembers the text.
    """
    original = config_module.FormatCode
    if getattr(original, '_remembers', False):
        return

    @functools.lru_cache(maxsize=16)
    def remembered(text: str, style: tuple, options: tuple) -> Any:
        return original(text, style_config=dict(style), **dict(options))

    @functools.wraps(original)
    def format_code(text: str, style_config: dict, **options: Any) -> Any:
        return remembered(text, tuple(style_config.items()), tuple(options.items()))

    marked: Any = format_code
    marked._remembers = True
    config_module.FormatCode = marked


def allow_distributed_cpu() -> None:
    """Let mmengine start several processes on a machine without a GPU.

    Its `init_dist` calls `torch.cuda.set_device` whatever the backend, which fails without a
    GPU. Versions: mmengine up to 0.10.7 (no issue known). Can go when it asks first.
    """
    original = dist_utils._init_dist_pytorch
    if torch.cuda.is_available() or getattr(original, '_on_cpu', False):
        return

    @functools.wraps(original)
    def init_dist_pytorch(backend: str, **kwargs: Any) -> None:
        kwargs.pop('init_backend', None)
        torch.distributed.init_process_group(backend=backend, **kwargs)

    marked: Any = init_dist_pytorch
    marked._on_cpu = True
    dist_utils._init_dist_pytorch = marked


def end_warm_ups_of_one_step() -> None:
    """Give a linear schedule of a single step its last factor, not its first.

    mmengine sets the first factor in the first step and reaches the last one in step `end` - 1. If
    both are the same step, the first factor stays for the whole run: a warm-up over an epoch of one
    batch leaves the learning rate at its start. Versions: mmengine up to 0.10.7 (no issue known).
    Can go when mmengine takes the last factor, or refuses such a schedule.
    """
    original = LinearParamScheduler.__init__
    if getattr(original, '_ends', False):
        return

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = inspect.signature(original).bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        if given['end'] - given['begin'] == 1:
            given['start_factor'] = given['end_factor']
        original(*bound.args, **bound.kwargs)

    marked: Any = init
    marked._ends = True
    LinearParamScheduler.__init__ = marked


def wait_for_a_free_second() -> None:
    """Wait until a runner that is built now has a logger of its own; called before it is built.

    mmengine names a run's logger and folder of logs by the second in which the runner was made.
    A second runner of the same second gets the logger of the first, so it writes into the log file
    of the first and has none of its own. Versions: mmengine 0.2 to 0.10. Can go when the name of a
    runner is unique.
    """
    while any(name.endswith(time.strftime('%Y%m%d_%H%M%S')) for name in MMLogger._instance_dict):
        time.sleep(0.02)
