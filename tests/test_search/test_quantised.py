import numpy as np
import pytest

from diffusionret_mm.search import Facts, Gallery, layout_of, maintain
from diffusionret_mm.search.quantised import from_stored, to_stored


@pytest.fixture
def facts(draw_arrays):
    return Facts({}, layout_of(draw_arrays(1)), int8=True)


def test_frames_come_back_to_half_a_step_of_their_own_scale(draw_arrays, facts):
    arrays = draw_arrays(50)
    arrays['frames'][3] *= 100  # a frame's scale is its own
    arrays['frames'][4, 1] = 0
    stored = to_stored(arrays, facts)
    assert layout_of(stored) == facts.stored_layout
    back = from_stored(stored, facts)
    assert set(back) == set(arrays)
    steps = np.abs(arrays['frames'].astype(np.float32)).max(axis=-1) / 127
    errors = np.abs(back['frames'] - arrays['frames'].astype(np.float32))
    assert (errors <= steps[..., None] / 2 * (1 + 1e-5)).all()
    assert errors.max() > steps.min() / 4  # it is quantised
    assert not back['frames'][4, 1].any()
    # What is quantised already stays as it is.
    again = to_stored(dict(arrays, frames=back['frames']), facts)
    assert np.array_equal(again['frames'], stored['frames'])


def test_half_precision_stays_as_it_is(draw_arrays):
    arrays = draw_arrays(5)
    facts = Facts({}, layout_of(arrays))
    assert facts.stored_layout == facts.layout
    for convert in (to_stored, from_stored):
        found = convert(arrays, facts)
        assert all(found[name] is array for name, array in arrays.items())


def test_a_gallery_keeps_8_bits_and_says_so(new_gallery, tmp_path):
    gallery, arrays = new_gallery(40, int8=True)
    maintain(gallery)
    snapshot = Gallery(gallery.folder).latest()
    assert snapshot.facts.int8
    assert snapshot.dataset.schema.field('frames').type.value_type == 'int8'
    (found,) = snapshot.candidates(arrays['pooled'][:1], 40)
    order = [int(span.path.removeprefix('/videos/v').removesuffix('.mp4')) for span in found.spans]
    read = snapshot.read(found.rows, 'mask', 'frames')
    assert set(read) == {'mask', 'frames'}
    stored = to_stored(arrays, snapshot.facts)
    expected = stored['frames'] * stored['frame_scales'][..., None]
    assert np.array_equal(read['frames'], expected[order])
    assert np.array_equal(read['mask'], arrays['mask'][order])
    assert np.array_equal(snapshot.read(found.rows, 'pooled')['pooled'], arrays['pooled'][order])
