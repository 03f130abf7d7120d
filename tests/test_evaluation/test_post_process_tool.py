"""Score matrices of any code, measured and post-processed by tools/post_process.py."""

import json

import numpy as np
import pytest
import torch

from diffusionret_mm.evaluation import TextVideoRetrievalMetric

COUNT = 1000


@pytest.fixture(scope='module')
def matrices(tmp_path_factory):
    """Scores of 1,000 texts and videos with some hubs, in files, and banks of other queries."""
    folder = tmp_path_factory.mktemp('matrices')
    rng = np.random.default_rng(0)
    hubs = 0.1 * (rng.random(COUNT) < 0.02)

    def noise(rows):
        return 0.05 * rng.standard_normal((rows, COUNT))

    arrays = dict(
        scores=0.2 + 0.12 * np.eye(COUNT) + noise(COUNT) + hubs,
        bank=0.2 + noise(1500) + hubs,
        bank_v2t=0.2 + noise(700),
    )
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays['truth'] = np.arange(COUNT)
    for name, array in arrays.items():
        np.save(folder / f'{name}.npy', array)
    return folder, arrays


@pytest.fixture
def measure(run_tool, tmp_path):
    """A function that runs the tool and returns its metrics."""

    def run(scores, truth, *options):
        done = run_tool(
            'post_process', scores, '--truth', truth, *options, '--json', tmp_path / 'm.json'
        )
        assert (done.status, done.err) == (0, '')
        assert 'text -> video' in done.out
        return json.loads((tmp_path / 'm.json').read_text())

    return run


@pytest.fixture
def save(tmp_path):
    """A function that writes an array to a file."""

    def write(name, array):
        np.save(tmp_path / f'{name}.npy', array)
        return tmp_path / f'{name}.npy'

    return write


def r1(scores):
    return 100 * np.mean(scores.argmax(axis=1) == np.arange(len(scores)))


def inverted(scores, bank, beta):
    scores, bank = scores.astype(np.float64), bank.astype(np.float64)
    return np.exp(beta * scores) / np.exp(beta * bank).sum(axis=0)


def softmax_over_queries(scores, temperature):
    shares = np.exp(scores.astype(np.float64) / temperature)
    return scores * shares / shares.sum(axis=0)


def test_a_thousand_texts_and_videos_have_the_numbers_of_the_evaluation(matrices, measure):
    folder, arrays = matrices
    found = measure(
        *(folder / 'scores.npy', folder / 'truth.npy', '--rows', 'texts', '--qb-norm'),
        *('--bank', folder / 'bank.npy', '--bank-v2t', folder / 'bank_v2t.npy'),
        *('--inverted-softmax', 30, '--dsl', 0.02),
    )
    scores, bank, bank_v2t = (
        torch.from_numpy(arrays[name]) for name in ('scores', 'bank', 'bank_v2t')
    )
    metric = TextVideoRetrievalMetric(
        post_processing={'DSL': dict(temperature=0.02), 'IS': dict(beta=30.0), 'QB-Norm': {}}
    )
    sample = dict(
        rankings={'': (scores, scores.t())},
        video_of_text=torch.arange(COUNT),
        banks=(bank, bank_v2t),
    )
    metric.process(None, [sample])
    assert found == metric.evaluate(size=1)


def test_a_thousand_texts_and_videos_have_the_numbers_of_numpy(matrices, measure):
    folder, arrays = matrices
    scores, bank = arrays['scores'], arrays['bank']
    found = measure(
        *(folder / 'scores.npy', folder / 'truth.npy', '--rows', 'texts', '--qb-norm'),
        *('--bank', folder / 'bank.npy', '--inverted-softmax', 30, '--dsl', 0.02),
    )
    best = np.isin(scores.argmax(axis=1), bank.argmax(axis=1))
    expected = {
        't2v/R@1': r1(scores),
        'DSL/t2v/R@1': r1(softmax_over_queries(scores, 0.02)),
        'DSL/v2t/R@1': r1(softmax_over_queries(scores.T, 0.02)),
        'IS/t2v/R@1': r1(inverted(scores, bank, 30)),
        'QB-Norm/t2v/R@1': r1(np.where(best[:, None], inverted(scores, bank, 20), scores)),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert len({*map(float, expected.values())}) > 3
    assert 'IS/v2t/R@1' not in found  # it has no bank


def test_several_texts_of_a_video_and_a_matrix_for_each_direction(measure, save):
    t2v = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    v2t = np.array([[0.1, 0.9, 0.2], [0.3, 0.8, 0.1]])
    truth = save('truth', np.array([0, 1, 1]))
    found = measure(save('t2v', t2v), truth, '--v2t', save('v2t', v2t))
    assert found['t2v/R@1'] == pytest.approx(200 / 3)
    assert found['v2t/R@1'] == 50.0
    assert measure(save('turned', t2v.T), truth, '--rows', 'videos')['t2v/R@1'] == found['t2v/R@1']


THREE = np.ones((3, 2))
SQUARE = np.eye(3)
ERRORS = {
    'a square matrix': (SQUARE, [0, 1, 2], [], 'is square, [3, 3], so its shape does not say'),
    'videos x texts': (THREE.T, [0, 1, 1], [], 'its columns are the 3 texts. Say so by --rows v'),
    'rows that are not videos': (THREE, [0, 1, 1], ['--rows', 'videos'], 'rows cannot be videos'),
    'another number of texts': (THREE, [0, 1, 1, 0], [], 'neither side is the number of texts, 4'),
    'a vector': (np.ones(3), [0, 1, 1], [], 'must hold a matrix of numbers; it holds float64'),
    'texts': (np.array([['a']]), [0], [], 'must hold a matrix of numbers; it holds <U1'),
    'NaN': (np.array([[0, 1], [1, np.nan]]), [0, 1], [], 'the first in row 1, column 1.'),
    'objects': (np.array([[{}]]), [0], [], 'is no .npy file of numbers'),
    'a truth outside': (THREE, [0, 1, 2], [], 'text 2 belongs to video 2, and the scores have the'),
    'a video without a text': (THREE, [0, 0, 0], [], '1 of 2 videos have no text, the first is v'),
    'a truth of fractions': (THREE, [0.0, 1.0, 1.0], [], 'must hold the index of the video of ea'),
    'no bank': (THREE, [0, 1, 1], ['--qb-norm'], 'need scores of other queries: give --bank BANK'),
}


@pytest.mark.parametrize(('scores', 'truth', 'options', 'message'), ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_measured_is_refused(run_tool, save, scores, truth, options, message):
    files = save('scores', scores), '--truth', save('truth', np.array(truth))
    done = run_tool('post_process', *files, *options)
    assert done.status == 2
    assert message in done.err
    assert done.err.count('\n') == 1


def test_banks_of_another_gallery_and_without_use_are_refused(run_tool, save):
    files = save('scores', THREE), '--truth', save('truth', np.array([0, 1, 1]))
    bank = '--bank', save('bank', np.ones((5, 3)))
    done = run_tool('post_process', *files, *bank, '--qb-norm')
    assert (done.status, '2 candidates of the scores in columns' in done.err) == (2, True)
    done = run_tool('post_process', *files, *bank, '--dsl', 0.01)
    assert (done.status, 'Only --qb-norm and --inverted-softmax' in done.err) == (2, True)
    done = run_tool('post_process', *files, '--v2t', save('v2t', THREE))
    assert (done.status, 'videos x texts, [2, 3], is expected' in done.err) == (2, True)


def test_a_file_that_is_no_matrix_is_refused(run_tool, save, tmp_path):
    truth = save('truth', np.arange(2))
    np.savez(tmp_path / 'two.npz', a=np.eye(2))
    for name, message in (('two.npz', 'is an archive of arrays'), ('no.npy', 'There is no file')):
        done = run_tool('post_process', tmp_path / name, '--truth', truth)
        assert (done.status, message in done.err) == (2, True)
