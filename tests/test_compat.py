"""Each work-around of compat.py: is it still needed, and does it still work?"""

import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from mmengine.config import Config
from mmengine.config import config as config_module
from mmengine.dist import utils as dist_utils
from mmengine.logging import HistoryBuffer
from mmengine.optim import LinearLR

from diffusionret_mm import compat

COMPAT = Path(compat.__file__)
needs_no_pkg_resources = pytest.mark.skipif(
    importlib.util.find_spec('pkg_resources') is not None, reason='setuptools is older than 82'
)
needs_weights_only = pytest.mark.skipif(
    torch.__version__ < (2, 6), reason='torch.load accepts every pickle before torch 2.6'
)
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec('transformers') is None, reason='transformers is not installed'
)

# Each process prints one JSON object: the result of each step, or the error that it raised.
PRELUDE = """
import importlib, io, json, logging, os, sys, types, warnings
CHECKPOINT, COMPAT = sys.argv[1:]
results = {}

def step(function):
    try:
        results[function.__name__] = function()
    except Exception as error:
        results[function.__name__] = f'{type(error).__name__}: {error}'

def load_compat():
    package = types.ModuleType('diffusionret_mm')  # without running its __init__
    package.__path__ = [os.path.dirname(COMPAT)]
    sys.modules['diffusionret_mm'] = package
    return importlib.import_module('diffusionret_mm.compat')
"""
STEPS = """
@step
def mmcv_lite():
    with warnings.catch_warnings(record=True) as caught:
        if not APPLIED:
            warnings.simplefilter('always')
        import mmcv.cnn.bricks.transformer
    return [str(warning.message) for warning in caught]

@step
def config():
    from mmengine.config import Config
    text = "_base_ = 'mmaction::_base_/default_runtime.py'"
    return Config.fromstring(text, '.py').default_scope

@step
def file_client():
    from mmengine.fileio import FileClient
    from mmengine.logging import MMLogger
    stream = io.StringIO()
    MMLogger.get_instance('compat').addHandler(logging.StreamHandler(stream))
    FileClient('disk')
    MMLogger.get_current_instance().warning('another message')
    return stream.getvalue()

@step
def checkpoint():
    from mmengine.runner.checkpoint import CheckpointLoader
    return sorted(CheckpointLoader.load_checkpoint(CHECKPOINT, logger='silent'))

@step
def models():
    import mmaction.models
    return 'imported'

@step
def drn():
    from mmaction.registry import MODELS
    return MODELS.build(dict(type='DRN'))

@step
def multimodal():
    from mmaction.registry import MODELS
    return MODELS.build(dict(type='VindLURetrieval'))

print('RESULTS' + json.dumps(results))
"""


APPLY = """
APPLIED = True
compat = load_compat()
from diffusionret_mm.storage import checkpoints
for _ in range(2):
    compat.apply(checkpoints.load_checkpoint_file, checkpoints.save_checkpoint_file)
"""


def run_steps(setup: str, checkpoint: Path) -> dict:
    command = [sys.executable, '-c', PRELUDE + setup + STEPS, str(checkpoint), str(COMPAT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.partition('RESULTS')[2]), 'stderr': done.stderr}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    """What makes mmengine's own checkpoints fail: the history of the log."""
    file = tmp_path_factory.mktemp('run') / 'epoch_1.pth'
    history = {'train/loss': HistoryBuffer([0.5], [1])}
    torch.save({'state_dict': {}, 'message_hub': {'log_scalars': history}}, file)
    return file


@pytest.fixture(scope='module')
def without(checkpoint) -> dict:
    return run_steps('APPLIED = False', checkpoint)


@pytest.fixture(scope='module')
def with_drn_only(checkpoint) -> dict:
    return run_steps('APPLIED = False\nload_compat().provide_drn()', checkpoint)


@pytest.fixture(scope='module')
def with_all(checkpoint) -> dict:
    return run_steps(APPLY, checkpoint)


@pytest.mark.slow
class TestStillNeeded:
    """A failure here means that a work-around can go."""

    def test_drn(self, without):
        assert without['models'].startswith("ModuleNotFoundError: No module named 'mmaction.models")

    @needs_transformers
    def test_multimodal(self, with_drn_only):
        assert with_drn_only['models'].startswith('ImportError')
        assert 'transformers' in with_drn_only['models']

    @needs_weights_only
    def test_checkpoint(self, without):
        assert without['checkpoint'].startswith('UnpicklingError: Weights only load failed')

    @needs_no_pkg_resources
    def test_pkg_resources(self, without):
        assert without['config'] == "ModuleNotFoundError: No module named 'pkg_resources'"

    def test_messages(self, without):
        assert '"FileClient" will be deprecated' in without['file_client']
        assert '"HardDiskBackend" is the alias' in without['file_client']
        if importlib.util.find_spec('mmcv.ops') is None:
            assert 'MultiScaleDeformableAttention' in without['mmcv_lite'][0]


@pytest.mark.slow
class TestWorks:
    """A failure here means that a work-around is broken."""

    def test_models(self, with_all):
        assert with_all['models'] == 'imported'

    def test_drn_says_what_is_wrong(self, with_all):
        assert with_all['drn'].startswith('ImportError')
        assert 'missing from the wheel of mmaction2' in with_all['drn']

    def test_multimodal_placeholder(self, with_all):
        assert 'mmaction2[multimodal]' in with_all['multimodal']

    def test_config(self, with_all):
        assert with_all['config'] == 'mmaction'

    def test_checkpoint(self, with_all):
        assert with_all['checkpoint'] == ['message_hub', 'state_dict']

    def test_messages(self, with_all):
        assert with_all['mmcv_lite'] == []
        assert with_all['file_client'] == 'another message\n'
        assert with_all['stderr'] == ''


class TestInstalledPath:
    def test_module_and_distribution_names(self):
        for name in ('mmaction', 'mmaction2'):
            assert compat.is_installed(name)
            assert Path(compat.get_installed_path(name), 'registry.py').is_file()

    def test_missing(self):
        assert not compat.is_installed('no_such_package')
        with pytest.raises(ModuleNotFoundError, match='no_such_package'):
            compat.get_installed_path('no_such_package')


@pytest.mark.skipif(torch.cuda.is_available(), reason='the defect concerns machines without a GPU')
def test_distributed_on_cpu_still_needs_its_work_around(monkeypatch):
    """`test_tools.py` starts two processes through the work-around; this is mmengine's own way."""
    own = dist_utils._init_dist_pytorch.__wrapped__
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('LOCAL_RANK', '0')
    with pytest.raises((RuntimeError, AssertionError), match='(?i)cuda|nvidia'):
        own('gloo')


def test_a_config_is_formatted_once(monkeypatch):
    calls = []

    def format_code(text, **options):
        calls.append(text)
        return text, True

    monkeypatch.setattr(config_module, 'FormatCode', format_code)
    compat.format_configs_once()
    compat.format_configs_once()  # which changes nothing
    cfg = Config(dict(a=1))
    assert cfg.pretty_text == cfg.pretty_text == 'a=1'
    cfg.a = 2
    assert cfg.pretty_text == 'a=2'
    assert len(calls) == 2


def test_nobody_is_told_that_weights_are_random(caplog):
    open_clip.create_model('ViT-S-32-alt', pretrained=None)
    assert not caplog.records
    logging.warning('another')
    assert [record.message for record in caplog.records] == ['another']


def test_a_warm_up_of_one_step_ends_at_its_end():
    rates = {}
    for steps in (1, 2):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        warm_up = LinearLR.build_iter_from_epoch(
            optimizer, start_factor=0.01, begin=0, end=1, epoch_length=steps
        )
        rates[steps] = []
        for _ in range(3):
            rates[steps].append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            warm_up.step()
    assert rates == {1: [1.0, 1.0, 1.0], 2: [0.01, 1.0, 1.0]}
