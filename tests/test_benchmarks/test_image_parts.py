"""The benchmark of images in parts, at a small size."""

import re

import pytest


@pytest.mark.usefixtures('benchmarks')
def test_both_sides_have_the_same_features(run_tool, monkeypatch):
    monkeypatch.setattr(
        'diffusionret_mm.models.backbones.open_clip_backbone.CPU_PIXELS', 2 * 224 * 224
    )
    options = ['--arch', 'ViT-S-32-alt', '--images', 5, '--repeats', 1]
    done = run_tool('benchmarks/image_parts', *options)
    assert done.status == 0, done.err
    assert float(re.search(r'ratio of the times: ([\d.]+)', done.out)[1]) > 0
    assert 'largest difference' in done.out
