import threading

import pytest
import torch

from diffusionret_mm.models.retrievers.parallel_chunks import map_chunks


@pytest.fixture(params=[1, 3])
def num_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_chunks(num_threads):
    chunks = torch.arange(10).split(3)
    assert [out.tolist() for out in map_chunks(lambda chunk: chunk + 1, chunks)] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
        [10],
    ]
    assert list(map_chunks(lambda chunk: chunk, ())) == []


def test_chunks_run_beside_each_other_with_one_thread_each():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=20)  # broken, an error, unless two chunks run at once

    def look(chunk):
        both.wait()
        return torch.tensor([torch.get_num_threads(), torch.is_grad_enabled()])

    try:
        seen = torch.stack(list(map_chunks(look, torch.arange(2).split(1))))
        assert seen.tolist() == [[1, 0], [1, 0]]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_error_in_a_chunk_is_raised_and_the_threads_are_as_before(num_threads):
    def fail(chunk):
        raise ValueError('chunk 7')

    with pytest.raises(ValueError, match='chunk 7'):
        list(map_chunks(fail, torch.arange(4).split(2)))
    assert torch.get_num_threads() == num_threads


def test_autocast_stays_in_its_thread():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        (out,) = map_chunks(lambda chunk: chunk @ chunk, [torch.eye(2)])
        assert out.dtype == torch.bfloat16
