import re

import numpy as np
import pytest

from diffusionret_mm.evaluation import evaluate_ranking
from diffusionret_mm.visualization import Picture, Report, Section, Table, write_page


def test_a_page_is_one_file_that_asks_for_nothing(tmp_path):
    blocks = ['1 < 2', Table(['a', 'b'], [['<i>', 1.5]]), Picture(b'png', 'a "picture"')]
    write_page(tmp_path / 'page.html', 'T & U', [Section('S', blocks)])
    text = (tmp_path / 'page.html').read_text()
    assert "default-src 'none'" in text
    assert '<h1>T &amp; U</h1>' in text
    assert '<p>1 &lt; 2</p>' in text
    assert '<td>&lt;i&gt;</td><td class="number">1.50</td>' in re.sub(r'\s*\n\s*', '', text)
    assert 'alt="a &#34;picture&#34;" src="data:image/png;base64,cG5n"' in text
    assert not re.search(r'https?://|(?:src|href)="(?!data:)|<script', text)


@pytest.fixture
def make_report(make_pictures, tmp_path):
    def make(model, num_queries=2, num_failures=3):
        pictures, images = make_pictures(model), {}
        scored = pictures.scored
        metrics = evaluate_ranking(scored.t2v, scored.v2t, pictures.split.video_of_text)
        report = Report(
            pictures, metrics, tmp_path, num_queries, num_failures, on_image=images.__setitem__
        )
        path = tmp_path / 'report.html'
        report.write(path, 'a run', 'Checkpoint best.pth.')
        return pictures, images, path.read_text()

    return make


def test_numbers_pictures_and_failures(tiny_model, make_report):
    tiny_model.set_stage('generation')
    pictures, images, text = make_report(tiny_model)
    assert 'Checkpoint best.pth. 10 texts, 5 videos.' in text
    assert set(images) == {
        'recall', 'similarity', 'samples', 'failure_1', 'failure_2',
        *(f'{name}_{row}' for name in ('retrieval', 'attention', 'diffusion') for row in (0, 9)),
    }  # fmt: skip
    assert all(image.dtype == np.uint8 and image.shape[1] == 800 for image in images.values())
    assert text.count('<img') == len(images)
    for row in pictures.hardest_texts(3):
        assert f'<td>{row}</td><td>a box {row}</td>' in re.sub(r'\s*\n\s*', '', text)
    assert 'Training' not in text
    assert '<h2>Errors</h2>' in text
    assert '<td>twin: red / blue</td>' in text


def test_a_picture_that_the_model_has_not_is_replaced_by_the_reason(tiny_model, make_report):
    _, images, text = make_report(tiny_model, num_queries=1, num_failures=1)
    assert 'diffusion_0' not in images
    assert 'No picture: DiffusionRet in stage &#39;discrimination&#39; diffuses nothing' in text
