"""The leak on noise in a gallery of 300: the published scoring knows the answer, ours does not."""


def test_the_published_scoring_is_far_above_chance(run_tool):
    done = run_tool('benchmarks/leak', '--pairs', 300)
    assert done.status == 0, done.err
    _, _, published, ours, chance = done.out.splitlines()
    assert float(published.split()[2]) > 10  # R@1 of texts
    assert float(ours.split()[1]) < 2
    assert chance == 'R@k in %; chance: R@1 0.3, R@5 1.7'
