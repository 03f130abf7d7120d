"""Rows in files that only grow."""

import numpy as np
import pytest

from diffusionret_mm.search import segments
from diffusionret_mm.search.segments import SegmentedArrays, layout_of


@pytest.fixture
def small_segments(monkeypatch):
    monkeypatch.setattr(segments, 'ROWS_PER_SEGMENT', 4)


def arrays(count, start=0):
    rows = np.arange(start, start + count)
    return dict(a=rows[:, None] * np.ones(3, np.float32), b=rows.astype(np.int16))


def test_rows_over_several_files(tmp_path, small_segments):
    store = SegmentedArrays(tmp_path, layout_of(arrays(1)))
    store.write(0, arrays(3))
    store.write(3, arrays(7, start=3))
    assert len(list(tmp_path.glob('a-*.bin'))) == 3
    rows = np.array([9, 0, 4, 3, 4])
    np.testing.assert_array_equal(store.read('b', rows), rows)
    np.testing.assert_array_equal(store.read('a', rows), rows[:, None] * np.ones(3))
    blocks = list(store.blocks('b', 2, 9))
    assert [start for start, _ in blocks] == [2, 4, 8]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), np.arange(2, 9))


def test_a_reader_sees_rows_that_are_written_later(tmp_path, small_segments):
    store = SegmentedArrays(tmp_path, layout_of(arrays(1)))
    store.write(0, arrays(2))
    reader = SegmentedArrays(tmp_path, store.layout)
    assert reader.read('b', np.array([1])) == [1]
    store.write(2, arrays(1, start=2))
    assert reader.read('b', np.array([2])) == [2]


def test_what_a_killed_writer_left_is_overwritten(tmp_path):
    store = SegmentedArrays(tmp_path, layout_of(arrays(1)))
    store.write(0, arrays(5, start=90))
    store.write(0, arrays(2))
    np.testing.assert_array_equal(store.read('b', np.arange(2)), [0, 1])


def test_other_layouts_are_refused(tmp_path):
    store = SegmentedArrays(tmp_path, layout_of(arrays(1)))
    with pytest.raises(ValueError, match='has the arrays'):
        store.write(0, dict(a=np.zeros((1, 3), np.float32)))
    with pytest.raises(ValueError, match='has the arrays'):
        store.write(0, dict(arrays(1), a=np.zeros((1, 4), np.float32)))
