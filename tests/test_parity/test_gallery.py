"""How an evaluation is cut into blocks and spread over processes changes no rank."""

from pathlib import Path

import torch
from processes import run_ranks

TESTS = Path(__file__).parents[1]
CHUNKS = (1, 7, 48)


def test_chunks_and_processes_change_no_rank(golden, tmp_path):
    results = {}
    for processes in (1, 2):
        target = tmp_path / f'{processes}.pt'
        done = run_ranks(processes, TESTS / 'gallery_worker.py', golden, target, *CHUNKS)
        assert done.returncode == 0, done.stderr[-2000:]
        results[processes] = torch.load(target)
    expected = results[1][48]
    assert expected.shape == (3, 48)  # similarity, t2v, v2t
    assert not torch.equal(expected[0], expected[1])  # re-ranking does something
    for ranks in results.values():
        assert list(ranks) == list(CHUNKS)
        for chunk in CHUNKS:
            assert torch.equal(ranks[chunk], expected)
