"""Hits as clips, lists of cuts and tables."""

import csv
import json
from pathlib import Path

import pytest

from diffusionret_mm.apis.exporting import edit_decision_list, export_hits, timecode
from diffusionret_mm.search import FoundSpan, Hit, SearchResult

pytest.importorskip('lance')
TEXT = 'a red circle: moves/left?'


@pytest.fixture
def result(write_clip, tmp_path):
    """Two hits: a part of a clip, and all of another."""
    videos = [write_clip(tmp_path / f'my {name}.mp4', 12) for name in 'ab']
    spans = [
        FoundSpan('0', str(videos[0]), 0.3, 0.8, 'window'),
        FoundSpan('1', str(videos[1]), 0.0, 1.2, 'video'),
    ]
    hits = [
        Hit(n + 1, span.path, span.start, span.end, 0.5, None, 0.5 - n, span, subtitle)
        for n, (span, subtitle) in enumerate(zip(spans, ('Over there!', None), strict=True))
    ]
    return SearchResult(TEXT, hits)


def test_clips_a_list_of_cuts_and_a_table(result, tmp_path):
    out = tmp_path / 'out'
    assert export_hits(result, out) == []
    name = 'a-red-circle-moves-left'
    clips = [f'{name}-001-my-a.mp4', f'{name}-002-my-b.mp4']
    assert sorted(path.name for path in out.iterdir()) == [*clips, f'{name}.csv', f'{name}.edl']
    rows = list(csv.DictReader((out / f'{name}.csv').open()))
    assert [row['clip'] for row in rows] == clips
    assert rows[0]['query'] == TEXT
    assert (rows[0]['start'], rows[0]['end']) == ('0.300', '0.800')
    assert [row['subtitle'] for row in rows] == ['Over there!', '']
    lines = (out / f'{name}.edl').read_text().splitlines()
    assert lines[:2] == [f'TITLE: {name}', 'FCM: NON-DROP FRAME']
    events = [line.split() for line in lines if line[:3].isdigit()]
    assert events[0] == ['001', 'AX', 'V', 'C', *['00:00:00:03', '00:00:00:08'],
                         *['00:00:00:00', '00:00:00:05']]  # fmt: skip
    assert events[1][4:] == ['00:00:00:00', '00:00:01:02', '00:00:00:05', '00:00:01:07']
    assert (out / clips[1]).read_bytes() == Path(result.hits[1].video).read_bytes()


def test_nothing_is_overwritten(result, tmp_path):
    out = tmp_path / 'out'
    export_hits(result, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    export_hits(result, out)
    assert len(list(out.iterdir())) == 2 * len(before)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert (out / 'a-red-circle-moves-left-2.edl').is_file()


def test_a_video_that_is_gone_is_named_and_the_others_are_written(result, tmp_path):
    Path(result.hits[0].video).write_bytes(b'nothing')
    (failure,) = export_hits(result, tmp_path / 'out')
    assert 'my a.mp4' in failure
    assert len(list((tmp_path / 'out').glob('*.mp4'))) == 1


def test_timecodes_count_frames():
    assert timecode(0.999, 25) == '00:00:01:00'
    assert timecode(59.96, 25) == '00:00:59:24'
    assert timecode(3600, 30_000 / 1001) == '00:59:56:12'
    assert edit_decision_list('none', []).splitlines() == [
        'TITLE: none', 'FCM: NON-DROP FRAME'
    ]  # fmt: skip


def test_the_tool_exports(new_inferencer, clips, run_tool, tmp_path):
    new_inferencer().index(clips(3), tmp_path / 'gallery')
    common = tmp_path / 'gallery', '--device', 'cpu', '--json', '--export', tmp_path / 'out'
    done = run_tool('search', 'a cat', *common, '--top-k', 2)
    assert done.status == 2  # the gallery comes first
    done = run_tool('search', *common, 'a cat', '--top-k', 2)
    assert done.status == 0, done.err
    assert len(json.loads(done.out)['hits']) == 2
    assert len(list((tmp_path / 'out').glob('a-cat-*.mp4'))) == 2
