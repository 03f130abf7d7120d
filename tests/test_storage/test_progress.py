import pytest

from diffusionret_mm.storage.progress import progress_bar


@pytest.mark.parametrize(('terminal', 'interval'), [(True, 0.2), (False, 5)])
def test_a_log_file_gets_fewer_lines(monkeypatch, terminal, interval):
    monkeypatch.setattr('sys.stderr.isatty', lambda: terminal, raising=False)
    with progress_bar(10, 'title', 'video') as progress:
        assert progress.mininterval == interval


def test_rate_and_time_left_are_shown(capsys):
    with progress_bar(10, 'title', 'video') as progress:
        progress.update(4)
    shown = capsys.readouterr().err
    assert 'title' in shown
    assert '4/10' in shown
    assert 'video/s' in shown


def test_no_title_shows_no_bar(capsys):
    with progress_bar(10, None, 'video') as progress:
        progress.update(10)
    assert capsys.readouterr().err == ''
