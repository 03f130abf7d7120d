"""The benchmark of the encoders at a small size: both sides agree, and the figures are there."""

import json

import pytest

SIZES = dict(arch='ViT-S-32-alt', videos=4, captions=3, frames=2, batch=2, repeats=1)


@pytest.mark.slow
@pytest.mark.usefixtures('small_machine_rate')
def test_both_sides_agree(tmp_path, run_tool):
    target = tmp_path / 'figures.json'
    options = [f'--{name}={value}' for name, value in SIZES.items()]
    done = run_tool('benchmarks/encode', *options, '--json', target)
    assert done.status == 0, done.err
    figures = json.loads(target.read_text())
    assert figures['max_abs_diff'] < 1e-4
    assert figures['same_ranks'] is True
    assert figures['ratio'] == figures['published_s'] / figures['ours_s']
    # A video once, or once a caption; ours encodes no padding, but an image of zeros for it.
    assert figures['images'] == dict(ours=7 + 1, published=4 * 3 * 2)
    assert figures['peak_rss_mb'] > 100  # torch alone takes more
    assert figures['sizes'] == dict(videos=4, captions=3, frames=2, words=32)
    steps = figures['steps']
    assert steps['float32, with_cp']['kept MB'] < steps['float32']['kept MB'] / 2
    assert 'videos/s' in done.out


@pytest.mark.usefixtures('benchmarks')
def test_encoders_are_timed_one_by_one(tmp_path, run_tool):
    target = tmp_path / 'figures.json'
    options = [f'--{name}={value}' for name, value in dict(batch=2, repeats=1, json=target).items()]
    assert run_tool('benchmarks/encode', '--archs', 'ViT-S-32-alt', *options).status == 0
    (row,) = json.loads(target.read_text()).values()
    assert row['images_per_s'] > 0
    assert row['pixels'] == 224
