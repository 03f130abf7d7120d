"""How an evaluation is cut into blocks and spread over processes changes no rank."""

import os
import subprocess
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).parents[1]
CHUNKS = (1, 7, 48)


def test_chunks_and_processes_change_no_rank(golden, tmp_path):
    results = {}
    environment = dict(os.environ, PYTHONPATH=str(TESTS.parent), OMP_NUM_THREADS='1')
    for processes, port in ((1, 29531), (2, 29532)):
        target = tmp_path / f'{processes}.pt'
        command = [Path(sys.executable).with_name('torchrun'), f'--nproc_per_node={processes}']
        command += [f'--master_port={port}', TESTS / 'gallery_worker.py', golden, target, *CHUNKS]
        done = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, timeout=250
        )
        assert done.returncode == 0, done.stderr[-2000:]
        results[processes] = torch.load(target)
    expected = results[1][48]
    assert expected.shape == (3, 48)  # similarity, t2v, v2t
    assert not torch.equal(expected[0], expected[1])  # re-ranking does something
    for ranks in results.values():
        assert list(ranks) == list(CHUNKS)
        for chunk in CHUNKS:
            assert torch.equal(ranks[chunk], expected)
