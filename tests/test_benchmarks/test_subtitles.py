"""The benchmarks of subtitles, at sizes that take seconds."""

from argparse import Namespace
from pathlib import Path

import pytest
from tool_modules import load_tool

from diffusionret_mm.datasets.subtitles import find_subtitle_files, read_subtitles

pytest.importorskip('lance')

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _beside_the_script(monkeypatch):
    """What a script of a folder imports lies beside it."""
    monkeypatch.syspath_prepend(ROOT / 'tools/benchmarks')


def test_spans_are_found_by_their_lines(tmp_path, monkeypatch):
    tool = load_tool('benchmarks/subtitles')
    monkeypatch.setattr(tool, 'PASSES', 1)
    sizes = dict(segment_rows=1000, spans=400, frames=4, width=32, topics=10, words=4)
    args = Namespace(folder=tmp_path / 'gallery', queries=4, int8=False, **sizes)
    tool.build(args)
    written = tool.write_lines(args)
    assert written['table_mb'] > written['index_mb'] > 0
    figures = tool.search(args)
    assert figures['fused_found_percent'] == 100
    assert figures['model_found_percent'] < 50
    assert figures['fused_query_ms_p50'] > figures['fused_subtitles_ms_p50'] > 0
    assert 'model_subtitles_ms_p50' not in figures


def test_what_is_said_of_a_clip_is_said_of_no_other(tmp_path):
    tool = load_tool('benchmarks/subtitles_shapes')
    paths = [str(tmp_path / f'{number}.mp4') for number in range(240)]
    said = tool.speak(paths, seed=1)
    beside = find_subtitle_files(paths)
    lines = {path: read_subtitles(path, beside[path]).lines for path in paths}
    assert [lines[path][0].text for path in paths] == [whole for whole, _ in said.values()]
    assert all(whole.endswith(end) for whole, end in said.values())
    texts = [line.text for each in lines.values() for line in each]
    for end in [end for _, end in said.values()]:
        assert sum(text.endswith(end) for text in texts) == 1
