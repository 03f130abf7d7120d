"""One gallery searched by several processes, each of which holds a part of the index."""

import json
import signal
from functools import partial
from pathlib import Path

import pytest
from processes import ROOT, rank_environments, run_command, run_ranks, start_script

from diffusionret_mm.apis import Share, indexing
from diffusionret_mm.apis.serving import search_by_shares
from diffusionret_mm.search import Searchers, maintain, vector_index

pytest.importorskip('lance')

WORKER = Path(__file__).parents[1] / 'searching_worker.py'


@pytest.fixture
def gallery(new_inferencer, clips, tmp_path, monkeypatch):
    """A gallery of clips whose index has two segments."""
    monkeypatch.setattr(vector_index, 'EXACT_ROWS', 0)
    monkeypatch.setattr(vector_index, 'ROWS_BEHIND', 0)
    monkeypatch.setattr(indexing, 'maintain', partial(maintain, segment_rows=6))
    new_inferencer().cfg.dump(tmp_path / 'config.py')
    for folder in ('some', 'more'):
        gallery = new_inferencer().index(clips(6, folder), tmp_path / 'gallery')
    assert len(vector_index.segments_of(gallery.spans.open())) == 2
    return gallery


def test_a_process_alone_looks_through_all_parts():
    given = []
    search_by_shares('gallery', Share(), given.append)
    assert [type(each) for each in given] == [Searchers]
    assert given[0].count == 1


@pytest.mark.slow
def test_two_ranks_find_what_one_process_finds(gallery, tmp_path):
    found = []
    for count in (1, 2):
        output = tmp_path / f'{count}.json'
        done = run_ranks(count, WORKER, gallery.folder, output, -1)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(output.read_text()))
    assert found[0] == found[1]
    assert [len(each) for each in found[0]] == [12] * 6 + [4] * 6


@pytest.mark.slow
@pytest.mark.parametrize('dying', [0, 1, 2])
def test_a_rank_that_dies_ends_the_others(gallery, tmp_path, dying):
    outputs = [tmp_path / f'rank{rank}.txt' for rank in range(2)]
    arguments = gallery.folder, tmp_path / 'found.json', dying
    with rank_environments(2) as environments:
        processes = [
            start_script(WORKER, *arguments, env=environment, stdout=output, stderr=output)
            for environment, output in zip(environments, outputs, strict=True)
        ]
        for process in processes:
            process.join(120)
    statuses = [process.exitcode for process in processes]
    texts = [output.read_text() for output in outputs]
    assert statuses == {0: [-signal.SIGKILL, 2], 1: [2, -signal.SIGKILL], 2: [0, 0]}[dying], texts
    assert texts[1] == ''
    if dying == 1:
        assert 'spans.lance has ended, or has not answered for 10 minutes. Start all' in texts[0]
        assert texts[0].count('\n') == 1


@pytest.mark.slow
def test_torchrun_searches_by_shares(gallery, tmp_path, run_tool):
    queries = tmp_path / 'queries.txt'
    queries.write_text('a red circle\na blue square\n')
    options = gallery.folder, '--queries', queries, '--json', '--device', 'cpu'
    alone = run_tool('search', *options)
    assert alone.status == 0, alone.err
    command = 'torchrun', '--standalone', '--nproc_per_node', 2, ROOT / 'tools/search.py'
    done = run_command(*command, *options)
    assert done.returncode == 0, done.stderr
    results = [json.loads(text) for text in (alone.out, done.stdout)]
    for result in results[0] + results[1]:
        result.pop('seconds')
    assert results[0] == results[1]
