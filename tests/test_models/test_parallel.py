import threading

import pytest
import torch

from diffusionret_mm.models.parallel import map_on_cores

CPU = torch.device('cpu')


@pytest.fixture(params=[1, 3])
def num_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_chunks(num_threads):
    chunks = torch.arange(10).split(3)
    assert [out.tolist() for out in map_on_cores(lambda chunk: chunk + 1, chunks, CPU)] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
        [10],
    ]
    assert list(map_on_cores(lambda chunk: chunk, (), CPU)) == []


def test_chunks_run_beside_each_other_with_one_thread_each():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=20)  # broken, an error, unless two chunks run at once

    def look(chunk):
        both.wait()
        return torch.tensor([torch.get_num_threads(), torch.is_grad_enabled()])

    try:
        seen = torch.stack(list(map_on_cores(look, torch.arange(2).split(1), CPU)))
        assert seen.tolist() == [[1, 0], [1, 0]]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_error_in_a_chunk_is_raised_and_the_threads_are_as_before(num_threads):
    def fail(chunk):
        raise ValueError('chunk 7')

    with pytest.raises(ValueError, match='chunk 7'):
        list(map_on_cores(fail, torch.arange(4).split(2), CPU))
    assert torch.get_num_threads() == num_threads


def test_autocast_stays_in_its_thread():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        (out,) = map_on_cores(lambda chunk: chunk @ chunk, [torch.eye(2)], CPU)
        assert out.dtype == torch.bfloat16


def test_tensors_of_inference_mode_can_be_written():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            out = torch.zeros(4)

            def write(row):
                out[row] = row

            list(map_on_cores(write, range(4), CPU))
            assert out.tolist() == [0, 1, 2, 3]
    finally:
        torch.set_num_threads(before)
