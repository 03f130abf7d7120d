"""What runs on a GPU gives what it gives on the CPU; without a GPU these tests are skipped.

`tools/benchmarks/gpu.sh` runs them before it measures.
"""

import copy

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.optim import build_optim_wrapper

from diffusionret_mm.engine.memory import describe_peak_memory
from diffusionret_mm.features.scoring import score_all
from diffusionret_mm.storage.checkpoints import load_checkpoint_file

pytestmark = pytest.mark.gpu
CARD = 'cuda'
CLOSE = dict(rtol=1e-3, atol=1e-3)

SIMILARITIES = [
    dict(type='CosineSimilarity'),
    dict(type='EMSimilarity'),
    dict(type='TokenInteraction'),
    dict(type='WeightedTokenInteraction', width=64),
    dict(type='XPool', width=64),
    dict(type='PairTransformer', width=64, num_layers=1),
]


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch):
    """Round as the CPU does; the default of cuDNN's convolutions is a shorter format."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


def test_a_checkpoint_of_the_gpu_is_read_on_the_cpu(tmp_path):
    file = tmp_path / 'gpu.pth'
    torch.save({'weight': torch.ones(2, device=CARD)}, file)
    assert load_checkpoint_file(file, 'cpu')['weight'].device.type == 'cpu'


def test_features_are_those_of_the_cpu(tiny_model, batch):
    inputs = batch()
    on_card = {key: value.to(CARD) for key, value in inputs.items()}
    with torch.no_grad():
        texts, videos = tiny_model(inputs)
        found = copy.deepcopy(tiny_model).to(CARD)(on_card)
    for mine, other in zip((texts, videos), found, strict=True):
        for name, value in mine.tensors().items():
            torch.testing.assert_close(other.tensors()[name].cpu(), value, **CLOSE)


@pytest.mark.parametrize('stage', ['discrimination', 'generation'])
def test_ranks_of_a_split_are_scored_as_on_the_cpu(tiny_model, features, stage):
    texts, videos = features()
    tiny_model.set_stage(stage)
    on_card = copy.deepcopy(tiny_model).to(CARD)
    with torch.no_grad():
        expected = score_all(tiny_model, texts, videos, 4)
        found = score_all(on_card, texts.to(CARD), videos.to(CARD), 4)
    for mine, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other.cpu(), mine, **CLOSE)


@pytest.mark.parametrize('similarity', SIMILARITIES, ids=lambda cfg: cfg['type'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_a_gallery_on_the_cpu_is_scored_on_the_gpu(similarity, dtype, features):
    texts, videos = (part.to(dtype) for part in features())
    torch.manual_seed(0)
    head = MODELS.build(similarity).eval()
    with torch.no_grad():
        expected = head.score_gallery(texts, videos)
        found = copy.deepcopy(head).to(CARD).score_gallery(texts, videos)
    assert (found.device.type, found.dtype) == (CARD, torch.float32)
    torch.testing.assert_close(found.cpu(), expected, **CLOSE)


@pytest.mark.parametrize('stage', ['discrimination', 'generation'])
def test_a_step_of_training_moves_the_weights_as_on_the_cpu(tiny_model, batch, stage):
    inputs, losses = batch(), []
    for device in ('cpu', CARD):
        model = copy.deepcopy(tiny_model).to(device).train()
        model.set_stage(stage)
        wrapper = build_optim_wrapper(
            model, dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-2))
        )
        own = {key: value.to(device) for key, value in inputs.items()}
        for _ in range(2):
            torch.manual_seed(0)
            parts = model(own, mode='loss')
            wrapper.update_params(sum(parts.values()))
            losses.append(sum(parts.values()).item())
    first, second, *on_card = losses
    assert first != second
    if stage == 'discrimination':  # the noise of the other is drawn on the device
        assert on_card == pytest.approx([first, second], rel=1e-3)


def test_clips_are_found_as_on_the_cpu(new_inferencer, unlike_clips, tmp_path):
    pytest.importorskip('lance')
    videos = unlike_clips(5)
    found = []
    for device in ('cpu', CARD):
        inferencer = new_inferencer(device=device)
        gallery = inferencer.index(videos, tmp_path / device)
        found.append(inferencer.search('a red circle', gallery).hits)
    expected, on_card = ({hit.video: hit.similarity for hit in hits} for hits in found)
    assert on_card == pytest.approx(expected, abs=1e-2)


def test_the_memory_of_the_gpu_is_told():
    torch.ones(2**20, device=CARD)
    assert ', of the GPU ' in describe_peak_memory()
