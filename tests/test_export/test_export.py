"""Encoders as ONNX graphs."""

import sys
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from diffusionret_mm.export import ExportError, OnnxEncoders, compare_encoders, export_encoders
from diffusionret_mm.export.checking import random_texts, random_videos

ROOT = Path(__file__).parents[2]


def build(**text):
    """A retriever of one block per tower; `text` are options of its text tower."""
    torch.manual_seed(0)
    width = 32
    arch = dict(
        embed_dim=width,
        vision_cfg=dict(image_size=32, patch_size=16, width=width, layers=1, head_width=32),
        text_cfg=dict(context_length=16, width=width, heads=1, layers=1, **text),
    )
    return MODELS.build(
        dict(
            type='TextVideoRetriever',
            backbone=dict(type='OpenCLIPBackbone', arch=arch),
            temporal=dict(type='TemporalTransformer', width=width, num_layers=1, head_width=32),
            similarity=dict(type='CosineSimilarity'),
            loss=dict(type='ContrastiveLoss'),
        )
    ).eval()


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A model and its exported encoders; one export serves all tests, for it takes seconds."""
    model = build()
    folder = tmp_path_factory.mktemp('export') / 'deep' / 'onnx'
    errors = export_encoders(model, folder)
    assert errors.keys() == {'words', 'pooled', 'frames'}
    assert max(errors.values()) < 1e-5
    # Nothing half-made is left.
    assert sorted(path.name for path in folder.parent.iterdir()) == ['.onnx.lock', 'onnx']
    return model, folder


@pytest.mark.parametrize('rows', [1, 7])
@torch.no_grad()
def test_any_batch_and_length_as_torch_does(exported, rows):
    model, folder = exported
    encoders = OnnxEncoders(folder)
    for length in (2, 16):
        inputs = random_texts(rows, length, encoders.facts)
        found, expected = encoders.encode_text(*inputs), model.encode_text(*inputs)
        torch.testing.assert_close(found.words, expected.words, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.pooled, expected.pooled, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.mask, inputs[1])
    for num_frames in (1, 5):
        inputs = random_videos(rows, num_frames, (32, 32))
        found, expected = encoders.encode_video(*inputs), model.encode_video(*inputs)
        torch.testing.assert_close(found.frames, expected.frames, rtol=1e-4, atol=1e-5)


def test_other_weights_are_noticed(exported):
    model, folder = exported
    other = MODELS.build(
        dict(
            type='TextVideoRetriever',
            backbone=dict(type='OpenCLIPBackbone', arch=model.backbone.arch),
            similarity=dict(type='CosineSimilarity'),
            loss=dict(type='ContrastiveLoss'),
        )
    ).eval()
    with pytest.raises(ExportError, match=r'differ from torch: relative error .* of words \[1, 16'):
        compare_encoders(other, OnnxEncoders(folder), tolerance=1e-3)


def test_a_number_that_is_none_does_not_pass(exported):
    model, folder = exported
    with pytest.raises(ExportError, match='differ from torch'):
        compare_encoders(model, OnnxEncoders(folder), tolerance=float('nan'))


def test_shapes_that_do_not_fit(exported):
    encoders = OnnxEncoders(exported[1])
    ids, mask = torch.ones(2, 17, dtype=torch.int64), torch.ones(2, 17, dtype=torch.bool)
    with pytest.raises(ValueError, match=r'ids \[2, 17\].*L of at most 16'):
        encoders.encode_text(ids, mask)
    frames, mask = random_videos(2, 3, (32, 30))
    with pytest.raises(ValueError, match=r'frames \[2, 3, 3, 32, 30\].*\[M, F, 3, 32, 32\]'):
        encoders.encode_video(frames, mask)
    frames, mask = random_videos(1, 78, (32, 32))
    with pytest.raises(ValueError, match='F of at most 77'):
        encoders.encode_video(frames, mask)


def test_what_is_there_is_not_overwritten_and_what_is_missing_is_named(exported, tmp_path):
    model, folder = exported
    with pytest.raises(FileExistsError, match='give another folder'):
        export_encoders(model, folder)
    with pytest.raises(ExportError, match=r'encoders.json, text_encoder.onnx, .* missing'):
        OnnxEncoders(tmp_path)
    for name in ('text_encoder.onnx', 'video_encoder.onnx'):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / 'encoders.json').write_text('{"max_words": 16}')
    with pytest.raises(ExportError, match=r'encoders.json is damaged .*export again'):
        OnnxEncoders(tmp_path)


def test_encoders_without_a_graph_leave_nothing(exported, tmp_path, monkeypatch):
    model, _ = exported

    def branching(ids, mask):
        words = torch.zeros(*ids.shape, 32)
        return (words, words[:, 0]) if ids.sum() > 0 else (words + 1, words[:, 0])

    monkeypatch.setattr(model.backbone, 'encode_words', branching)
    with pytest.raises(ExportError, match='text_encoder.onnx could not be exported'):
        export_encoders(model, tmp_path / 'onnx')
    assert [path.name for path in tmp_path.iterdir()] == ['.onnx.lock']


@pytest.mark.parametrize('module', ['onnxruntime', 'onnxscript'])
def test_a_missing_package_is_named_with_its_command(exported, tmp_path, monkeypatch, module):
    model, folder = exported
    monkeypatch.setitem(sys.modules, module, None)
    command = r'pip install -e "\.\[export\]"'
    with pytest.raises(ModuleNotFoundError, match=f'{module} is not installed.*{command}'):
        export_encoders(model, tmp_path / 'onnx')
    if module == 'onnxruntime':
        with pytest.raises(ModuleNotFoundError, match=command):
            OnnxEncoders(folder)


@pytest.mark.parametrize(
    ('checkpoint', 'message'),
    [('model.pth', 'exists; give another folder'), ('none.pth', 'none.pth')],
)
def test_mistakes_of_the_command_line(tmp_path, run_tool, checkpoint, message):
    config = ROOT / 'configs/clip4clip/clip4clip_shapes.py'
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'model.pth')
    done = run_tool('export_onnx', config, tmp_path / checkpoint, '--out', tmp_path)
    assert done.status == 2
    assert message in done.err


@torch.no_grad()
def test_texts_fill_the_context_of_a_tower_that_reads_padding(tmp_path):
    model = build(pool_type='last', no_causal_mask=True)
    export_encoders(model, tmp_path / 'onnx')
    encoders = OnnxEncoders(tmp_path / 'onnx')
    inputs = model.backbone.tokenizer.tokenize(['a dog', 'two dogs run over a field'], 8)
    found, expected = encoders.encode_text(*inputs), model.encode_text(*inputs)
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r'ids \[2, 8\] .* \[N, L\] with L of 16'):
        encoders.encode_text(*(value[:, :8] for value in inputs))
