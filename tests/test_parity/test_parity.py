"""Recorded outputs of the published implementation against ours, and the check itself."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from parity import check_parity
from parity.golden import EXACT, GoldenFile, Tolerance
from processes import run_script

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def report(golden):
    return check_parity(golden)


def test_everything_recorded_is_reproduced(report):
    failed = [f'{check.file}: {check.quantity} ({check.max_abs})' for check in report.checks
              if not check.passed]  # fmt: skip
    assert failed == []
    assert report.not_compared == []
    assert report.not_known == []
    assert report.passed


@pytest.mark.parametrize(
    ('file', 'quantity'),
    [
        ('encode.npz', 'video_feat'),
        ('encode.npz', 'wti_logits'),
        ('wti.npz', 'logits'),
        ('generation.npz', 'neg_idx_t2v'),
        ('generation.npz', 'generation_loss'),
        ('generation.npz', 'grad_norms'),
        ('generation_full_neg.npz', 'out_v2t'),
        ('schedule.npz', 'q_sample'),
        ('denoiser.npz', 't2v_out'),
        ('ddim.npz', 'v2t_sample'),
        ('rerank48.npz', 't2v'),
        ('rerank_48x36.npz', 'v2t'),
        ('metrics.json', 'ties: cols'),
        ('metrics.json', 'multi_offbyone_v2t: R1'),
        ('optimizer.npz', 'param11:clip.w'),
        ('tokenizer.json', "'A young girl petting a d': ids_32"),
        ('frame_sampling.json', 'idx_90_29.97.mp4: frames start=2 end=4'),
        ('transform.npz', 'item8_frame_mean'),
    ],
)
def test_quantity_is_among_them(report, file, quantity):
    assert any((check.file, check.quantity) == (file, quantity) for check in report.checks)


def copy_with(golden, folder, name, change):
    shutil.copytree(golden, folder)
    with np.load(folder / name) as archive:
        arrays = {key: archive[key] for key in archive.files}
    change(arrays)
    np.savez(folder / name, **arrays)
    return folder


def test_a_changed_number_fails(golden, tmp_path):
    def change(arrays):
        arrays['t2v_out'][1, 2, 3] += 1e-3

    report = check_parity(copy_with(golden, tmp_path / 'copy', 'denoiser.npz', change))
    failed = [check.quantity for check in report.checks if not check.passed]
    assert failed == ['t2v_out']
    assert not report.passed


def test_an_array_that_nothing_compares_fails(golden, tmp_path):
    def change(arrays):
        arrays['more'] = np.zeros(3)

    report = check_parity(copy_with(golden, tmp_path / 'copy', 'wti.npz', change))
    assert report.not_compared == ['wti.npz: more']
    assert not report.passed


def test_a_file_that_is_not_known_is_named(golden, tmp_path):
    folder = tmp_path / 'copy'
    shutil.copytree(golden, folder)
    np.savez(folder / 'other.npz', a=np.zeros(1))
    assert check_parity(folder).not_known == ['other.npz']


@pytest.mark.slow
def test_command_line(golden, tmp_path):
    small = tmp_path / 'small'
    small.mkdir()
    for name in ('state_dict.npz', 'wti.npz'):
        shutil.copy(golden / name, small)
    tool = ROOT / 'tools/check_parity.py'
    done = run_script(tool, small, fresh=True)
    assert done.returncode == 0, done.stderr
    assert 'wti.npz' in done.stdout
    assert '0 failed' in done.stdout
    done = run_script(tool, tmp_path)
    assert done.returncode == 2
    assert 'is not a golden directory' in done.stderr


class TestTolerance:
    def test_relative_is_element_by_element(self):
        file = GoldenFile('f', dict(a=np.array([1.0, 100.0])))
        file.compare('a', [1.0, 100.09], Tolerance(relative=1e-3))
        file.compare('a', [1.09, 100.0], Tolerance(relative=1e-3))
        assert [check.passed for check in file.checks] == [True, False]
        assert file.checks[1].max_rel == pytest.approx(9e-4)

    def test_infinities_and_nan_have_to_agree(self):
        values = [np.inf, -np.inf, np.nan]
        file = GoldenFile('f', dict(a=np.array(values)))
        for ours in (values, [np.inf, np.inf, np.nan], [np.inf, -np.inf, 0.0]):
            file.compare('a', ours, EXACT)
        assert [check.passed for check in file.checks] == [True, False, False]

    def test_another_shape_fails(self):
        file = GoldenFile('f', dict(a=np.zeros((2, 1))))
        file.compare('a', np.zeros(2), Tolerance(absolute=1.0))
        assert not file.checks[0].passed
