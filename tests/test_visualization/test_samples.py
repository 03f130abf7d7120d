import re

import pytest

from diffusionret_mm.visualization import Sample, draw_samples, write_samples_page


def test_captions_are_shown_up_to_a_number(grey_frames, texts_of):
    captions = [f'a ${number} box' for number in range(6)]
    (text,) = texts_of(draw_samples([Sample('a', grey_frames(3), captions)], max_captions=2))
    assert text == 'a: 6 captions\na $0 box\na $1 box'
    with pytest.raises(ValueError, match='no sample'):
        draw_samples([])


def test_the_page_holds_every_caption_as_text(tmp_path, grey_frames):
    samples = (Sample(f'v{row}', grey_frames(9), ['a <b> box', 'two & three']) for row in (0, 1))
    path = tmp_path / 'new' / 'samples.html'
    write_samples_page(path, 'two videos', samples)
    text = path.read_text()
    assert text.count('a &lt;b&gt; box') == text.count('two &amp; three') == 2
    assert re.findall(r'<h2>(.*)</h2>', text) == ['v0', 'v1']
    assert text.count('src="data:image/jpeg;base64,/9j/') == 2
