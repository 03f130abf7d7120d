import csv

import pytest

from diffusionret_mm.comparison import summarise, write_csv, write_markdown, write_plot
from diffusionret_mm.comparison.table import METRICS


def record(seed, value, **costs):
    metrics = dict.fromkeys(METRICS, value) | {'t2v/MnR': 2 * value}
    times = dict(train_s=10 + seed, train_cpu_s=9.0, test_s=1.0, test_cpu_s=0.5)
    costs = dict(parameters=2_500_000, memory_mb=500) | times | costs
    return dict(seed=seed, metrics=metrics, costs=costs)


@pytest.fixture
def rows():
    return [
        summarise('several', [record(0, 10.0), record(1, 14.0, memory_mb=700.4)]),
        summarise('single', [record(2, 7.0)]),
    ]


def test_mean_and_standard_deviation(rows):
    several, single = rows
    assert several.mean('t2v/R@1') == 12
    assert several.spread('t2v/R@1') == pytest.approx(8**0.5)
    assert single.spread('t2v/R@1') is None


def test_markdown(tmp_path, rows):
    text = write_markdown(tmp_path / 'new' / 'table.md', rows, note='x failed')
    assert (tmp_path / 'new' / 'table.md').read_text() == text
    lines = text.splitlines()
    assert lines[0].startswith('| method | seeds | t2v/R@1 | t2v/R@5 | t2v/MnR | v2t/R@1 |')
    assert lines[2] == (
        '| several | 0 1 | 12.00 ± 2.83 | 12.00 ± 2.83 | 24.00 ± 5.66 | 12.00 ± 2.83 | '
        '12.00 ± 2.83 | 12.00 ± 2.83 | 2.50 | 10.5 | 9.0 | 1.0 | 0.5 | 700 |'
    )
    assert lines[3].startswith('| single | 2 | 7.00 | 7.00 | 14.00 |')
    assert lines[-1] == 'x failed'


def test_memory_is_that_of_the_gpu_where_every_run_had_one(tmp_path, rows):
    assert 'peak memory, MiB' in write_markdown(tmp_path / 'a.md', rows)
    on_gpu = [summarise('a', [record(0, 1.0, gpu_memory_mb=90)])]
    text = write_markdown(tmp_path / 'a.md', on_gpu)
    assert 'peak GPU memory, MiB' in text
    assert text.splitlines()[2].endswith('| 90 |')
    assert 'peak memory, MiB' in write_markdown(tmp_path / 'a.md', on_gpu + rows)


def test_csv_has_every_run(tmp_path, rows):
    write_csv(tmp_path / 'table.csv', rows)
    with (tmp_path / 'table.csv').open() as file:
        lines = list(csv.DictReader(file))
    assert [(line['method'], line['seed']) for line in lines] == [
        ('several', '0'), ('several', '1'), ('several', 'mean'), ('several', 'std'),
        ('single', '2'), ('single', 'mean'), ('single', 'std'),
    ]  # fmt: skip
    assert [line['t2v/MnR'] for line in lines[:3]] == ['20.0', '28.0', '24.0']
    assert lines[-1]['t2v/R@1'] == ''


def test_plot(tmp_path, rows):
    write_plot(tmp_path / 'plot.png', rows)
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')
