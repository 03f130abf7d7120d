"""What only a GPU reaches, with a stand-in for it: the tests need none."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch.utils.data._utils.pin_memory import pin_memory

from diffusionret_mm.apis import run
from diffusionret_mm.engine.hooks.run_cost import RunCostHook
from diffusionret_mm.engine.memory import describe_peak_memory
from diffusionret_mm.engine.run_record import environment
from diffusionret_mm.features import caching
from diffusionret_mm.models.data_preprocessor import RetrievalDataPreprocessor
from diffusionret_mm.structures import TextFeatures, VideoFeatures

MB = 2**20


@pytest.fixture
def gpu(monkeypatch):
    """Stands a GPU in: what was synchronised, by number of calls."""
    calls = SimpleNamespace(synchronised=0)

    def synchronize():
        calls.synchronised += 1

    for name, value in dict(
        is_available=lambda: True,
        synchronize=synchronize,
        max_memory_allocated=lambda: 5 * MB,
        current_device=lambda: 0,
        device_count=lambda: 1,
        get_device_name=lambda number: f'stand-in {number}',
    ).items():
        monkeypatch.setattr(torch.cuda, name, value)
    return calls


def test_memory_of_the_gpu_is_said(gpu):
    assert describe_peak_memory().endswith(', of the GPU 5 MB')


def test_costs_wait_for_the_gpu_and_tell_its_memory(gpu, tmp_path):
    hook = RunCostHook()
    runner = SimpleNamespace(model=torch.nn.Linear(2, 3), work_dir=str(tmp_path))
    for name in ('before_train', 'after_train', 'before_test', 'after_test'):
        getattr(hook, name)(runner)
    assert gpu.synchronised == 4
    costs = json.loads((tmp_path / 'costs.json').read_text())
    assert costs['gpu_memory_mb'] == 5
    assert costs['parameters'] == 9


def test_the_record_names_the_gpus(gpu):
    assert environment()['devices'] == ['stand-in 0']


@pytest.mark.parametrize('has_gpu', [True, False])
def test_processes_with_gpus_talk_by_nccl(has_gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    started = []
    monkeypatch.setattr(
        run, 'init_dist', lambda launcher, **options: started.append((launcher, options))
    )
    monkeypatch.setattr(run, 'is_distributed', lambda: False)
    cfg = Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    run.join_processes(cfg)
    assert started == [('pytorch', dict(backend='nccl' if has_gpu else 'gloo'))]
    assert ('model_wrapper_cfg' in cfg) != has_gpu


def test_a_cache_keeps_the_random_state_of_the_gpu(gpu, monkeypatch):
    kept = []

    @contextmanager
    def fork_rng(devices):
        kept.append(devices)
        yield

    monkeypatch.setattr(torch.random, 'fork_rng', fork_rng)
    monkeypatch.setattr(caching, 'encode_videos', lambda *args: None)
    model = SimpleNamespace(num_cached_negatives=None)
    caching.cache_features(None, model, None, batch_size=1, num_workers=0, log=print)
    assert kept == [[0]]


def test_batches_can_be_pinned(monkeypatch):
    pinned = []

    def pin(tensor, *args):
        pinned.append(tensor)
        return tensor

    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin)
    sample = BaseDataElement(metainfo=dict(captions=['a dog runs']))
    frames = torch.zeros(2, 3, 4, 4)
    batch = pin_memory(dict(inputs=dict(frames=[frames]), data_samples=[sample]))
    assert pinned == [frames]
    assert batch['data_samples'][0].captions == ['a dog runs']


def test_a_batch_moves_to_the_device_of_the_model():
    preprocessor = RetrievalDataPreprocessor().to('meta')
    item = dict(
        frames=torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        frame_mask=torch.ones(2, dtype=torch.bool),
        ids=torch.ones(1, 5, dtype=torch.int64),
        text_mask=torch.ones(1, 5, dtype=torch.bool),
        video_index=torch.tensor(0),
    )
    inputs = {key: [value] for key, value in item.items()}
    batch = preprocessor(dict(inputs=inputs, data_samples=[]))['inputs']
    assert {value.device.type for value in batch.values()} == {'meta'}


@pytest.mark.parametrize(
    'similarity',
    [
        dict(type='CosineSimilarity'),
        dict(type='EMSimilarity'),
        dict(type='XPool', width=64),
        dict(type='StochasticXPool', width=64, num_frames=4),
    ],
    ids=lambda cfg: cfg['type'],
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_galleries_on_the_cpu_are_scored_on_the_device(similarity, dtype, features):
    """The meta device stands in: what is not moved to it cannot be mixed with what is.

    A `PairTransformer` asks whether there is padding, which the meta device cannot tell.
    """
    texts, videos = (part.to(dtype) for part in features())
    head = MODELS.build(similarity).eval().to('meta')
    assert isinstance(texts, TextFeatures)
    assert isinstance(videos, VideoFeatures)
    scores = head.score_gallery(texts, videos)
    assert (scores.device.type, scores.shape, scores.dtype) == ('meta', (7, 5), torch.float32)
