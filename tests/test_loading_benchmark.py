"""`tools/benchmarks/loading.py`, small."""

import importlib.util
import json
import sys
from pathlib import Path

TOOL = Path(__file__).parents[1] / 'tools/benchmarks/loading.py'


def test_a_video_is_decoded_once_however_many_captions_it_has(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location('loading', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    options = dict(videos=4, seconds=0.5, frames=3, size=32, repeats=2)
    arguments = [f'--{key}={value}' for key, value in options.items()]
    paths = ['--cache', str(tmp_path / 'cache'), '--json', str(tmp_path / 'figures.json')]
    monkeypatch.setattr(sys, 'argv', ['loading.py', *arguments, *paths])
    tool.main()
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert (figures['num_videos'], figures['num_captions'], figures['num_decoded']) == (4, 20, 4)
    assert len(figures['decoding_all_s']) == len(figures['stored_all_s']) == 2
    assert figures['ratio'] == figures['decoding_s'] / figures['stored_s']
    assert 'all tensors are equal' in capsys.readouterr().out
