"""The benchmark of spans: repeated clips, and what is counted."""

import sys

import pytest
from tool_modules import TOOLS, load_tool

from diffusionret_mm.datasets.spans import Moments, SpanReader

pytest.importorskip('scenedetect')


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.setattr(sys, 'path', [str(TOOLS / 'benchmarks'), *sys.path])
    tool = load_tool('benchmarks/spans')
    monkeypatch.setattr(tool, 'SIZE', (64, 48))
    monkeypatch.setattr(tool, 'MINUTE', 8)
    return tool


def test_shared_frames_are_encoded_once(tool, tiny_model, clip_pipeline, tmp_path):
    minute = tool.render_minute(tmp_path / 'minute.mp4')
    path = tool.repeat(minute, tmp_path / 'long.mp4', 4)
    figures = tool.measure(tiny_model, SpanReader(clip_pipeline, Moments('windows')), path)
    assert figures['frames shown'] == 4 * 8 * 25
    assert figures['spans'] == 6
    assert figures['frames of spans'] == 6 * 4
    assert figures['different ones'] < 6 * 4
    assert figures['images encoded'] == figures['different ones'] + 1  # one for padding
    assert figures['x real time'] == pytest.approx(32 / figures['seconds'])
