import json

import pytest

from diffusionret_mm.visualization import draw_curves, read_scalars


def train(epoch, step, **losses):
    return dict(epoch=epoch, iter=step, step=step, lr=1e-3, loss=sum(losses.values()), **losses)


STAGE_ONE = [train(1, 2, loss_t2v=4.0), train(1, 3, loss_t2v=3.0), {'t2v/R@1': 20.0, 'step': 1}]
# The logger repeats the last loss of stage one.
STAGE_TWO = [
    train(2, 5, loss_t2v=3.0, loss_generation_t2v=9.0),
    train(2, 6, loss_t2v=3.0, loss_generation_t2v=8.0),
    {'t2v/R@1': 30.0, 'discrimination/t2v/R@1': 25.0, 'step': 2},
]


def write(folder, start, lines):
    path = folder / start / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(
        '\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )


def test_both_stages_by_epochs(tmp_path):
    write(tmp_path, '20260101_000000', STAGE_ONE + STAGE_TWO)
    scalars = read_scalars(tmp_path)
    assert scalars.stage_two == 1
    assert scalars.train['loss_t2v'] == {2 / 3: 4.0, 1.0: 3.0}
    assert scalars.train['loss_generation_t2v'] == {5 / 3: 9.0, 2.0: 8.0}
    assert scalars.val['t2v/R@1'] == {1: 20.0, 2: 30.0}
    losses, recalls, rates = draw_curves(scalars).axes
    assert [line.get_ydata().tolist() for line in losses.lines[:2]] == [[4.0, 3.0], [9.0, 8.0]]
    assert losses.lines[2].get_xdata() == [1.0, 1.0]
    assert [line.get_ydata().tolist() for line in recalls.lines[:2]] == [[25.0], [20.0, 30.0]]
    assert rates.get_xlabel() == 'epoch'


def test_what_was_done_again_counts_once(tmp_path):
    write(tmp_path, '20260101_000000', [*STAGE_ONE, train(2, 5, loss_t2v=7.0)])
    write(tmp_path, '20260101_010000', [train(2, 5, loss_t2v=2.0), train(2, 6, loss_t2v=1.0)])
    scalars = read_scalars(tmp_path)
    assert scalars.stage_two is None
    assert list(scalars.train['loss_t2v'].values()) == [4.0, 3.0, 2.0, 1.0]
    draw_curves(scalars)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match='give the work dir of a training run'):
        read_scalars(tmp_path)
    write(tmp_path, '20260101_000000', [{'t2v/R@1': 20.0, 'step': 1}])
    with pytest.raises(ValueError, match='no training step was logged'):
        read_scalars(tmp_path)
    write(tmp_path, '20260101_010000', [*STAGE_ONE, '{"loss": 1'])
    with pytest.raises(ValueError, match=r'010000/vis_data/scalars.json, line 4 is damaged'):
        read_scalars(tmp_path)
