"""What the package registers, and that it takes no name of the host's."""

import importlib
import inspect
import re

import mmaction.registry
import mmcv.transforms
import mmengine.registry
import pytest

HOSTS = ('mmaction', 'mmengine', 'mmcv')
NODES = [name for name in dir(mmaction.registry) if name.isupper() and 'MMENGINE' not in name]


def own_names():
    for node in NODES:
        registry = getattr(mmaction.registry, node)
        for name, cls in registry.module_dict.items():
            if cls.__module__.startswith('diffusionret_mm'):
                yield node, name


def test_the_components_are_registered():
    names = {name for _, name in own_names()}
    assert names >= {
        'OpenCLIPBackbone',
        'TemporalTransformer',
        'TokenInteraction',
        'WeightedTokenInteraction',
        'TextFrameAttentionHead',
        'QueryCandidateDenoiser',
        'DiffusionGenerator',
        'KLContrastiveLoss',
        'TextVideoRetriever',
        'DiffusionRet',
        'PairTransformer',
        'BanzhafNetwork',
        'HBI',
        'TeachTextDistillation',
        'TextVideoDataset',
        'ShapesDataset',
        'MSRVTTDataset',
        'MSVDDataset',
        'LSMDCDataset',
        'ActivityNetCaptionsDataset',
        'DiDeMoDataset',
        'FeatureCacheHook',
        'StageSwitchHook',
        'DurableCheckpointHook',
        'StageLogProcessor',
        'ShardedAdamW',
        'EMABesideHook',
        'NonFiniteLossHook',
        'ResumeHook',
        'RunRecordHook',
        'ReportHook',
        'TextVideoTrainLoop',
        'TextVideoRetrievalMetric',
    }


@pytest.mark.parametrize(('node', 'name'), sorted(own_names()))
def test_no_name_collides(node, name):
    importlib.import_module('mmaction.models')
    importlib.import_module('mmaction.datasets')
    root = getattr(mmengine.registry, node, None)
    assert root is None or name not in root.module_dict
    if node == 'TRANSFORMS':
        assert name not in mmcv.transforms.TRANSFORMS.module_dict


CLASSES = {name: getattr(mmaction.registry, node).get(name) for node, name in sorted(own_names())}


def options(init):
    """Names of the arguments of an `__init__` that can be given by name."""
    named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    _, *parameters = inspect.signature(init).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind in named}


def documented(cls):
    """Names in the section "Args" of a class's own docstring."""
    text = inspect.cleandoc(cls.__doc__ or '').partition('\nArgs:\n')[2]
    section = re.split(r'\n(?=\S)', text)[0]
    return set(re.findall(r'^    (\w+): ', section, re.MULTILINE))


def is_own(cls):
    return cls.__module__.startswith('diffusionret_mm')


@pytest.mark.parametrize('name', sorted(CLASSES))
def test_docstrings_name_each_option_and_no_other(name):
    """Those of a base class of this package count, too; others describe their options."""
    cls = CLASSES[name]
    assert inspect.isclass(cls)
    owner, *others = (base for base in cls.__mro__ if '__init__' in vars(base))
    if is_own(owner):
        told = set().union(*(documented(base) for base in cls.__mro__ if is_own(base)))
        assert options(cls.__init__) - told == set()
    taken = set().union(*(options(base.__init__) for base in (owner, *others)))
    assert documented(cls) - taken == set()


class _Documented:
    """A class of the package, as far as its name tells.

    Args:
        width: something
            that goes on: for two lines.

    Raises:
        ValueError: never.
    """

    def __init__(self, width, *, height=None, **kwargs):
        pass


def test_arguments_are_read_from_docstrings():
    assert documented(_Documented) == {'width'}
    assert options(_Documented.__init__) == {'width', 'height'}
