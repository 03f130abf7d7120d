"""The benchmarks of search, at sizes that take seconds."""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from tool_modules import load_tool

from diffusionret_mm.models.retrievers.calibration import Alone, Calibration, Match
from diffusionret_mm.search import Searchers

pytest.importorskip('lance')

ROOT = Path(__file__).parents[2]
SIZES = dict(spans=5000, frames=4, width=32, topics=10, words=4)


@pytest.fixture(scope='module', autouse=True)
def _beside_the_script():
    """What a script of a folder imports lies beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / 'tools/benchmarks')
        yield


@pytest.fixture(scope='module')
def benchmark(_beside_the_script):
    return load_tool('benchmarks/gallery')


@pytest.fixture(scope='module')
def args(tmp_path_factory):
    folder = tmp_path_factory.mktemp('benchmark') / 'gallery'
    options = dict(queries=2, max_sim_spans=300, int8=False, segment_rows=2500)
    return Namespace(folder=folder, **options, **SIZES)


@pytest.fixture(scope='module')
def built(benchmark, args):
    return benchmark.build(args)


@pytest.fixture(scope='module')
def best(benchmark, args):
    return benchmark.find_exactly(args)[1]


def test_the_search_is_compared_with_exact_wti(benchmark, args, built, best):
    found = benchmark.search(args, best)
    assert found['disk_gb'] > 5000 * 4 * 32 * 2 / 1e9
    assert found['warm_similarity_ms_p50'] <= found['warm_similarity_ms_p95']
    assert found['warm_query_ms_p50'] > found['warm_similarity_ms_p50']
    # Nothing is lost between 1,000 candidates of 5,000 and the hits.
    assert found['recall'] == found['lengths']['1000']['recall']
    recalls = [list(found['lengths'][length]['recall'].values()) for length in ('64', '1000')]
    assert (np.array(recalls[0]) <= recalls[1]).all()
    assert min(recalls[1]) > 60
    assert built['build_peak_mb'] > 0


def test_rivals_and_the_tables(benchmark, args, built, best):
    pytest.importorskip('faiss')
    found = benchmark.search(args, best)
    figures = dict(built, spans=5000, **found, **benchmark.search_rivals(args, best))
    # Both compare all pooled vectors of a small gallery.
    assert figures['faiss']['recall'] == pytest.approx(figures['recall'], abs=2)
    assert 0 < figures['max_sim']['recall']['easy'] <= 100
    printed = load_tool('benchmarks/gallery_tables').format_result(figures)
    assert "Lance's MaxSim, 300 spans" in printed
    assert printed.count('near-duplicates of 256, %') == 2


def test_searches_by_more_processes_are_compared_with_the_first(args, built):
    shares = load_tool('benchmarks/index_shares')
    figures = {count: {} for count in (1, 2)}
    for each in figures.values():
        shares.measure(args, each, Searchers())
    figures[2]['hits'][0][0] = ('another', 0.5)
    assert {len(hits) for hits in figures[1]['hits']} == {shares.BEST}
    shares.compare(figures)
    assert figures[1]['same_percent'] == 100
    assert figures[2]['same_percent'] == 100 - 100 / (4 * 2 * shares.BEST)
    assert figures[1]['pooled_ms_p50'] <= figures[1]['query_ms_p50']


def test_a_query_is_answered_by_its_target(benchmark, args, best):
    features = benchmark.Features(benchmark.sizes_of(args))
    targets = [row for kind in benchmark.KINDS for row in features.queries(kind, 2)[1]]
    hits = [target in rows for target, rows in zip(targets, best, strict=True)]
    assert np.mean(hits) >= 0.5


def test_features_are_drawn_again_the_same(benchmark):
    sizes = benchmark.Sizes(5000, frames=2, width=8, topics=3, words=2)
    first, second = benchmark.Features(sizes), benchmark.Features(sizes)
    first.block(0)  # what was drawn before changes nothing
    assert torch.equal(first.block(1)[0].frames, second.block(1)[0].frames)
    assert len(first.block(1)[0]) == 5000 - 4096
    for kind in benchmark.KINDS:
        texts, targets = first.queries(kind, 3)
        again, same = second.queries(kind, 3)
        assert torch.equal(texts.words, again.words)
        assert targets == same


def test_near_duplicates_share_most_of_their_frames(benchmark):
    features = benchmark.Features(benchmark.Sizes(5000, frames=12, width=64))
    _, (target, *_) = features.queries('near-duplicates of 64', 1)
    frames = torch.cat([features.block(block)[0].frames.float() for block in range(2)])
    same = torch.cosine_similarity(frames, frames[target], dim=-1) > 0.8
    relatives = (same.sum(dim=1) >= 4).sum()
    assert 8 <= relatives <= 16  # 8 spans of a family in each of two blocks
    assert same[target].all()


def test_faiss_is_asked_for_in_a_sentence(monkeypatch):
    rivals = load_tool('benchmarks/gallery_rivals')
    monkeypatch.setitem(sys.modules, 'faiss', None)
    with pytest.raises(ModuleNotFoundError, match='install it by `pip install faiss-cpu`'):
        rivals.import_faiss()


def test_a_folder_that_exists_is_refused(tmp_path, run_tool):
    done = run_tool('benchmarks/gallery', '--folder', tmp_path)
    assert done.status == 2
    assert 'exists; give a folder that does not' in done.err


def test_rendered_clips_are_searched(tmp_path, run_tool):
    config, checkpoint = ROOT / 'configs/diffusionret_shapes.py', tmp_path / 'random.pth'
    torch.manual_seed(0)
    torch.save(MODELS.build(Config.fromfile(config).model).state_dict(), checkpoint)
    arguments = [config, checkpoint, '--clips', 6, '--sentences', 3, '--device', 'cpu']
    printed = run_tool('benchmarks/search_shapes', *arguments).out
    # Six clips are among the best ten, whatever the weights.
    cells = [line.split() for line in printed.splitlines()]
    assert ['in_top_10_percent', '100.0'] in cells
    assert ['clips', '6'] in cells


@pytest.fixture
def small_shapes(tmp_path, tiny_model_cfg):
    """The config of a tiny model, tested on six clips."""
    cfg = Config.fromfile(ROOT / 'configs/diffusionret_shapes.py')
    cfg.model = dict(tiny_model_cfg, stage='generation')
    dataset = cfg.test_dataloader.dataset
    dataset.update(data_root=str(tmp_path / 'shapes'), num_scenes=dict(train=1, val=1, test=2))
    dataset.pipeline[0].transforms[-1].scale = (32, 32)
    dataset.pipeline[1].max_words = 16
    cfg.dump(tmp_path / 'config.py')
    return tmp_path / 'config.py'


def test_sentences_without_an_answer_are_told_apart(
    tmp_path, run_tool, tiny_model_cfg, small_shapes
):
    torch.manual_seed(0)
    model = MODELS.build(dict(tiny_model_cfg, stage='generation'))
    model.calibrate(
        dict.fromkeys(('t2v', 'v2t'), Calibration(0.05, 1.0, Match(0.0, 1.0, 1.0), Alone(0.1, 1.0)))
    )
    torch.save(model.state_dict(), tmp_path / 'sure.pth')
    options = '--sentences', 3, '--unanswered', 2, '--test-split', '--device', 'cpu'
    done = run_tool('benchmarks/search_shapes', small_shapes, tmp_path / 'sure.pth', *options)
    cells = dict(line.split() for line in done.out.splitlines() if len(line.split()) == 2)
    assert (cells['clips'], cells['sentences'], cells['unanswered_sentences']) == ('4', '3', '2')
    for name in ('no_match_auroc', 'no_match_ece', 'similarity_no_match_auroc', 'in_top_1'):
        assert 0 <= float(cells[f'{name}_percent']) <= 100
