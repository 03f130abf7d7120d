"""What the package registers, and that it takes no name of the host's."""

import importlib

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
