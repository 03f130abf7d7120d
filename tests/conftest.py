"""Small models, small clips, and how tests are spread over processes."""

import gc
import os
import signal
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault('OMP_NUM_THREADS', '1')  # tests run in several processes already

import pytest

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import cv2
import numbered_clips
import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.config import config as config_module
from mmengine.dataset import base_dataset
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from tool_modules import run_main

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.datasets.spans.shots import ContentCuts
from diffusionret_mm.models.retrievers.calibration import Alone, Calibration, Match
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# Most of the time of a small run is mmengine's: it formats the config with yapf, and collects
# garbage whenever it makes a data set. What runs in processes of its own does both.
config_module.FormatCode = lambda text, **options: (text, False)
base_dataset.gc = SimpleNamespace(collect=lambda: 0)
gc.collect()
gc.freeze()  # what was imported stays

WIDTH = 64
ARCH = dict(
    embed_dim=WIDTH,
    quick_gelu=True,
    vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=64),
    text_cfg=dict(context_length=16, width=32, heads=1, layers=2),  # most weights are its tokens
)

PIPELINE = [
    dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=4)),
    dict(type='CLIPResizeCrop', size=32),
    dict(type='TokenizeCaptions', max_words=12),
    dict(type='PackTextVideoInputs'),
]


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none; put files with slow tests first.

    A file with slow tests that started last would leave a process idle.
    """
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason='needs a GPU'))
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def no_traces_of_other_runs():
    """Forget the loggers and default scopes of mmengine's runners after each test."""
    yield
    for manager in (DefaultScope, MMLogger, MessageHub, Visualizer):
        manager._instance_dict.clear()


@pytest.fixture
def interrupts():
    """Let an interrupt raise KeyboardInterrupt, as it does in a terminal.

    A shell makes what it starts in the background ignore interrupts.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def clip_pipeline() -> list[dict]:
    """Transforms that read a clip as the tiny model wants it."""
    return [dict(step) for step in PIPELINE]


@pytest.fixture
def no_cuts(monkeypatch):
    """Find no cut in any video; bits of numbered clips change all at once."""
    take = ContentCuts.take
    found = lambda *arguments: [(time, False) for time, _ in take(*arguments)]  # noqa: E731
    monkeypatch.setattr(ContentCuts, 'take', found)


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """A function that runs a script of `tools/` in this process, as if its arguments were typed.

    It returns the exit status as `status`, what was printed as `out`, and errors as `err`.
    """

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        capsys.readouterr()
        MMLogger._instance_dict.clear()  # one made before writes to where stdout was then
        status, message = run_main(name)
        printed = capsys.readouterr()
        return SimpleNamespace(status=status, out=printed.out, err=printed.err + message)

    return run


@pytest.fixture
def tiny_model_cfg() -> dict:
    """Config of a DiffusionRet that builds in milliseconds."""
    return _tiny_model_cfg()


def _tiny_model_cfg() -> dict:
    return dict(
        type='DiffusionRet',
        stage='discrimination',
        backbone=dict(type='OpenCLIPBackbone', arch=ARCH, freeze_patch_embedding=False),
        temporal=dict(type='TemporalTransformer', width=WIDTH, num_layers=1, position_std=1.0),
        similarity=dict(type='WeightedTokenInteraction', width=WIDTH),
        generator=dict(
            type='DiffusionGenerator',
            denoiser=dict(type='QueryCandidateDenoiser', width=WIDTH),
            num_train_steps=10,
            num_sample_steps=10,
        ),
        loss=dict(type='KLContrastiveLoss'),
        num_negatives=3,
        num_candidates=4,
    )


@pytest.fixture
def tiny_model(tiny_model_cfg):
    """A DiffusionRet with seeded random weights, in evaluation mode."""
    torch.manual_seed(0)
    return MODELS.build(tiny_model_cfg).eval()


@pytest.fixture
def features():
    """A function that draws features of N texts and M videos, some of them padded."""

    def draw(num_texts=7, num_videos=5, words=6, frames=4, width=WIDTH, seed=0):
        generator = torch.Generator().manual_seed(seed)
        word_counts = torch.randint(2, words + 1, (num_texts,), generator=generator)
        frame_counts = torch.randint(1, frames + 1, (num_videos,), generator=generator)
        texts = TextFeatures(
            words=torch.randn(num_texts, words, width, generator=generator),
            mask=torch.arange(words) < word_counts[:, None],
            pooled=torch.randn(num_texts, width, generator=generator),
        )
        videos = VideoFeatures(
            frames=torch.randn(num_videos, frames, width, generator=generator),
            mask=torch.arange(frames) < frame_counts[:, None],
        )
        return texts, videos

    return draw


@pytest.fixture
def batch():
    """A function that draws a preprocessed batch of two captions a video."""

    def draw(num_videos=4, frames=3, words=8, seed=0):
        generator = torch.Generator().manual_seed(seed)
        num_texts = 2 * num_videos
        length = torch.randint(3, words + 1, (num_texts, 1), generator=generator)
        ids = torch.randint(1, 1000, (num_texts, words), generator=generator)
        ids = ids.scatter(1, length - 1, 49407)
        mask = torch.arange(words) < length
        return dict(
            ids=ids * mask,
            text_mask=mask,
            frames=torch.randn(num_videos, frames, 3, 32, 32, generator=generator),
            frame_mask=torch.ones(num_videos, frames, dtype=torch.bool),
            video_of_text=torch.arange(num_texts) // 2,
            video_index=torch.arange(num_videos),
        )

    return draw


@pytest.fixture
def write_clip():
    """A function that writes an .mp4 whose frame i has the grey value 8 i."""
    return _write_clip


def _write_clip(path: Path, num_frames: int = 12, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_grey_clip(num_frames, size))
    return path


@cache
def _grey_clip(num_frames: int, size: tuple[int, int]) -> bytes:
    """Encode a clip once for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'clip.mp4')
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, size)
        for index in range(num_frames):
            writer.write(np.full((size[1], size[0], 3), 8 * index, dtype=np.uint8))
        writer.release()
        return path.read_bytes()


@pytest.fixture
def new_inferencer(tiny_model_cfg, tmp_path):
    """A function that makes an inferencer of the tiny model in stage two."""

    def make(seed=0, model=None, pipeline=PIPELINE, **kwargs):
        cfg = model or dict(tiny_model_cfg, stage='generation')
        return _inferencer(tmp_path, cfg, seed, pipeline, **kwargs)

    return make


def _inferencer(folder, cfg, seed=0, pipeline=PIPELINE, calibration=None, **kwargs):
    """An inferencer of random weights, which are saved in a folder."""
    torch.manual_seed(seed)
    checkpoint = folder / f'random_{seed}.pth'
    model = MODELS.build(cfg)
    if calibration is not None:
        model.calibrate(dict.fromkeys(('t2v', 'v2t'), calibration))
    torch.save(model.state_dict(), checkpoint)
    dataset = dict(pipeline=pipeline)
    config = Config(dict(model=cfg, test_dataloader=dict(dataset=dataset)))
    options = dict(device='cpu', num_workers=2, show_progress=False)
    return TextVideoInferencer(config, checkpoint, **(options | kwargs))


@pytest.fixture
def clips(tmp_path):
    """A function that writes clips of different lengths and returns their folder."""
    return lambda count, folder='videos': _clips(tmp_path / folder, count)


def _clips(folder, count):
    for number in range(count):
        _write_clip(folder / f'{number % 3}/clip{number:02d}.mp4', 6 + number)
    return folder


@pytest.fixture
def unlike_clips(tmp_path):
    """A function that writes clips of different pictures, whose scores do not tie."""

    def write(count):
        (tmp_path / 'videos').mkdir()
        for number in range(count):
            path = tmp_path / f'videos/clip{number:02d}.mp4'
            numbered_clips.write(path, 6 + number, 'mpeg4', start=101 * number)
        return tmp_path / 'videos'

    return write


@pytest.fixture(scope='session')
def sure_clips(tmp_path_factory):
    """As `indexed_clips`; the model is calibrated, and its confidence is near 1/2."""
    pytest.importorskip('lance')
    folder = tmp_path_factory.mktemp('sure')
    calibration = Calibration(0.05, 2.0, Match(-0.5, 1.0, 0.5), Alone(0.1, 1.0))
    cfg = _tiny_model_cfg() | dict(stage='generation')
    inferencer = _inferencer(folder, cfg, calibration=calibration)
    videos = _clips(folder / 'videos', 6)
    gallery = inferencer.index(videos, folder / 'gallery')
    return SimpleNamespace(inferencer=inferencer, videos=videos, gallery=gallery)


@pytest.fixture(scope='session')
def indexed_clips(tmp_path_factory):
    """A folder of six clips, their gallery, and the inferencer that made it; only to be read."""
    pytest.importorskip('lance')
    folder = tmp_path_factory.mktemp('indexed')
    inferencer = _inferencer(folder, _tiny_model_cfg() | dict(stage='generation'))
    videos = _clips(folder / 'videos', 6)
    gallery = inferencer.index(videos, folder / 'gallery')
    return SimpleNamespace(inferencer=inferencer, videos=videos, gallery=gallery)
