"""Banks of the training split: made by the evaluation, kept, and made anew when they are stale."""

from pathlib import Path

import pytest
import torch

from diffusionret_mm.apis.run import build_runner
from diffusionret_mm.features.query_bank import QueryBank
from diffusionret_mm.features.scoring import similarity_matrix


@pytest.fixture
def bank_runner(make_cfg):
    def make(name='bank', **options):
        defaults = {
            'model.stage': 'discrimination',
            'test_cfg.query_bank': {},
            'test_evaluator.post_processing': {'QB-Norm': {}, 'IS': {}},
        }
        return build_runner(make_cfg(name, **{**defaults, **options}))

    return make


def test_rows_beside_the_plain_ones_and_a_bank_that_is_kept(bank_runner):
    runner = bank_runner()
    metrics = runner.test()
    final = [name for name in metrics if name.startswith(('t2v/', 'v2t/'))]
    assert {'t2v/R@1', 'v2t/MnR'} <= set(final)
    for kind in ('QB-Norm', 'IS'):
        assert all(f'{kind}/{name}' in metrics for name in final)
    manifest = Path(runner.work_dir) / 'query_bank/manifest.json'
    made, first = manifest.stat().st_mtime_ns, manifest.read_text()
    assert runner.test() == metrics
    assert manifest.stat().st_mtime_ns == made
    for parameter in runner.model.similarity.parameters():
        parameter.data += 0.1
    runner.test()
    assert manifest.read_text() != first  # of other weights


def test_the_bank_is_every_caption_and_video_of_the_training_split(bank_runner):
    runner = bank_runner('whole')
    loop = runner.build_test_loop(runner._test_loop)
    model = runner.model.eval()
    for name in ('before_test', 'before_test_epoch'):
        runner.call_hook(name)
    split = loop.encode(model)
    store = loop.query_bank.open(runner, model, 'test', False)
    assert (store.num_videos, store.num_texts) == (18, 72)  # 6 scenes with two twins each
    t2v, v2t = loop.query_bank.score(model, store, split, 64)
    assert (t2v.shape, v2t.shape) == ((72, len(split.videos)), (18, len(split.texts)))
    expected = similarity_matrix(model, store.texts(torch.arange(72).numpy()), split.videos, 64)
    torch.testing.assert_close(t2v, expected.detach())
    first = QueryBank(captions='first').score(model, store, split, 64)
    torch.testing.assert_close(first[0], t2v[::4])
    torch.testing.assert_close(first[1], v2t)


def test_errors(bank_runner):
    with pytest.raises(ValueError, match="captions must be one of .* got 'last'"):
        QueryBank(captions='last')
    runner = bank_runner('gone', **{'test_cfg.query_bank.loader': 'other_dataloader'})
    with pytest.raises(ValueError, match='made of other_dataloader, which the config does not'):
        runner.test()
