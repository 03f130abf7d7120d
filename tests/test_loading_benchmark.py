"""`tools/benchmarks/loading.py`, small."""

import json


def test_a_video_is_decoded_once_however_many_captions_it_has(tmp_path, run_tool):
    options = dict(videos=4, seconds=0.5, frames=3, size=32, repeats=2)
    arguments = [f'--{key}={value}' for key, value in options.items()]
    paths = ['--cache', str(tmp_path / 'cache'), '--json', str(tmp_path / 'figures.json')]
    done = run_tool('benchmarks/loading', *arguments, *paths)
    assert done.status == 0, done.err
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert (figures['num_videos'], figures['num_captions'], figures['num_decoded']) == (4, 20, 4)
    assert len(figures['decoding_all_s']) == len(figures['stored_all_s']) == 2
    assert figures['ratio'] == figures['decoding_s'] / figures['stored_s']
    assert 'all tensors are equal' in done.out
