"""The benchmark of X-Pool, T-MASS and TextDiff at a small size."""

import json
from pathlib import Path

import pytest
from processes import run_script

TOOL = Path(__file__).parents[2] / 'tools/benchmarks/text_diffusion.py'
SMALL = ['--texts', '30', '--videos', '20', '--frames', '4', '--width', '64', '--samples', '3']


@pytest.mark.slow
def test_every_method_has_its_figures(tmp_path):
    target = tmp_path / 'figures.json'
    done = run_script(TOOL, *SMALL, '--json', target)
    assert done.returncode == 0, done.stderr
    rows = json.loads(target.read_text())
    assert [row['method'] for row in rows] == ['XPool', 'TMASS', 'TextDiff']
    lines = done.stdout.splitlines()
    for row in rows:
        line = next(line for line in lines if row['method'] in line)
        for name in ('seconds', 'cpu_s'):
            assert f' {row[name]:.1f} ' in line
        for name in ('growth_mb', 'before_mb'):
            assert f' {row[name]:.0f} ' in f'{line} '
        assert row['before_mb'] > 100  # torch alone takes more
    assert '30 texts x 20 videos of 4 frames, width 64' in done.stdout
