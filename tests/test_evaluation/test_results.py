"""The table for the terminal and the JSON file."""

import json
import math

import numpy as np
import pytest
import torch

from diffusionret_mm.evaluation import evaluate_ranking, format_metrics, write_metrics

NAMES = ['R@1', 'R@5', 'R@10', 'R@50', 'Rsum', 'MdR', 'MnR']


@pytest.fixture
def final():
    scores = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    return evaluate_ranking(scores, scores.T, torch.arange(20))


def table_rows(table):
    """Title, header and body lines without the rules."""
    title, header, *body = [line for line in table.splitlines() if line.strip('-')]
    return title, header, body


class TestFormatTable:
    def test_final_ranking_only(self, final):
        title, header, body = table_rows(format_metrics(final))
        assert 'R@k in %' in title
        assert '1 is best' in title
        assert header.split() == NAMES
        assert [row[:21] for row in body] == ['final  text -> video ', 'final  video -> text ']
        assert [float(cell) for cell in body[0].split()[4:]] == pytest.approx(
            [final[f't2v/{name}'] for name in NAMES], abs=0.005
        )

    def test_final_ranking_comes_last(self, final):
        both = final | {f'discrimination/{name}': value for name, value in final.items()}
        _, _, body = table_rows(format_metrics(both))
        assert [row.split()[:4] for row in body] == [
            ['discrimination', 'text', '->', 'video'],
            ['discrimination', 'video', '->', 'text'],
            ['final', 'text', '->', 'video'],
            ['final', 'video', '->', 'text'],
        ]

    def test_columns_line_up_in_plain_ascii(self, final):
        both = final | {f'discrimination/{name}': value for name, value in final.items()}
        table = format_metrics(both)
        assert table.isascii()
        assert '\x1b' not in table
        assert len({len(line) for line in table.splitlines()[1:]}) == 1

    def test_other_keys_are_left_out(self, final):
        assert format_metrics(final | {'time': 1.0, 'loss/total': 2.0}) == format_metrics(final)

    def test_missing_value(self):
        _, _, body = table_rows(format_metrics({'t2v/R@1': 1.0, 'v2t/R@5': 2.0}))
        assert body[0].split()[-2:] == ['1.00', '-']
        assert body[1].split()[-2:] == ['-', '2.00']

    def test_widest_values_keep_their_gap(self):
        _, _, body = table_rows(format_metrics({'t2v/R@1': 100.0, 't2v/MnR': 26999.5}))
        assert body[0].split()[-2:] == ['100.00', '26999.50']

    @pytest.mark.parametrize('metrics', [{}, {'loss': 1.0}])
    def test_refuses_when_nothing_to_show(self, metrics):
        with pytest.raises(ValueError, match='no retrieval metrics'):
            format_metrics(metrics)


class TestWriteMetrics:
    def test_round_trip_to_the_last_bit_in_order(self, tmp_path):
        metrics = {'v2t/R@1': 100 / 3, 't2v/MnR': math.nextafter(1.0, 2.0), 'a': 0.1 + 0.2}
        path = tmp_path / 'new' / 'folder' / 'metrics.json'
        write_metrics(path, metrics)
        assert list(json.loads(path.read_text()).items()) == list(metrics.items())
        assert path.read_text().startswith('{\n  "v2t/R@1": 33.333333333333336,\n')
        assert list(path.parent.iterdir()) == [path]

    def test_numpy_and_torch_scalars(self, tmp_path):
        path = tmp_path / 'metrics.json'
        write_metrics(str(path), {'a': np.float32(0.5), 'b': torch.tensor(2.0), 'c': 3})
        assert json.loads(path.read_text()) == {'a': 0.5, 'b': 2.0, 'c': 3.0}

    @pytest.mark.parametrize('value', [math.nan, math.inf])
    def test_refuses_values_outside_json(self, tmp_path, value):
        path = tmp_path / 'metrics.json'
        path.write_text('old')
        with pytest.raises(ValueError, match="'t2v/MnR' is"):
            write_metrics(path, {'t2v/R@1': 1.0, 't2v/MnR': value})
        assert path.read_text() == 'old'


def test_the_gain_and_what_names_mean_come_last():
    metrics = {
        'generation/t2v/R@1': 2.0,
        'gain/t2v/R@1': 1.0,
        'gain/t2v/low': 0.5,
        'gain/t2v/high': 1.5,
        't2v/R@1': 3.0,
        't2v/NLL': 0.25,
    }
    _, header, _, *body = format_metrics(metrics).splitlines()
    assert [row.split()[0] for row in body[:3]] == ['generation', 'final', 'gain']
    assert header.split() == ['R@1', 'NLL', 'low', 'high']
    assert body[3:] == [
        'NLL: mean of -log p of the right answer',
        'low to high: 95 % interval of the gain, by bootstrap over groups',
    ]
