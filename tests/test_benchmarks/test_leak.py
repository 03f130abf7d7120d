"""The leak on noise in a gallery of 300: the published scoring knows the answer, ours does not."""

from pathlib import Path

from processes import run_script

TOOL = Path(__file__).parents[2] / 'tools/benchmarks/leak.py'


def test_the_published_scoring_is_far_above_chance():
    done = run_script(TOOL, '--pairs', 300)
    assert done.returncode == 0, done.stderr
    _, _, published, ours, chance = done.stdout.splitlines()
    assert float(published.split()[2]) > 10  # R@1 of texts
    assert float(ours.split()[1]) < 2
    assert chance == 'R@k in %; chance: R@1 0.3, R@5 1.7'
