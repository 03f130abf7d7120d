"""The mmengine metrics, built from config and driven by mmengine's evaluator."""

import numpy as np
import pytest
import torch
from mmaction.registry import METRICS
from mmengine.evaluator import Evaluator

from diffusionret_mm.evaluation import DumpScores, TextVideoRetrievalMetric, evaluate_ranking
from diffusionret_mm.evaluation import metrics as metrics_module

VIDEO_OF_TEXT = torch.tensor([0, 2, 1, 1, 0, 1])


@pytest.fixture
def data_sample():
    generator = torch.Generator().manual_seed(0)
    final = torch.randn(6, 3, generator=generator), torch.randn(3, 6, generator=generator)
    first = torch.randn(6, 3, generator=generator)
    rankings = {'': final, 'discrimination': (first, first.T)}
    return {'rankings': rankings, 'video_of_text': VIDEO_OF_TEXT}


def evaluate(metrics, data_sample):
    evaluator = Evaluator(metrics)
    evaluator.process(data_samples=[data_sample])
    return evaluator.evaluate(size=1)


class TestTextVideoRetrievalMetric:
    def test_built_by_name(self):
        metric = METRICS.build({'type': 'TextVideoRetrievalMetric', 'topk': [1, 3]})
        assert type(metric) is TextVideoRetrievalMetric
        assert metric.options['topk'] == (1, 3)

    def test_values_and_order(self, data_sample):
        expected = {}
        for name, (t2v, v2t) in data_sample['rankings'].items():
            for key, value in evaluate_ranking(t2v, v2t, VIDEO_OF_TEXT).items():
                expected[f'{name}/{key}' if name else key] = value
        metrics = evaluate([{'type': 'mmaction.TextVideoRetrievalMetric'}], data_sample)
        assert list(metrics.items()) == list(expected.items())
        assert 't2v/R@1' in metrics
        assert 'discrimination/v2t/MnR' in metrics

    def test_only_the_final_ranking(self, data_sample):
        del data_sample['rankings']['discrimination']
        metrics = evaluate([TextVideoRetrievalMetric(topk=(1,))], data_sample)
        names = ['R@1', 'Rsum', 'MdR', 'MnR']
        assert list(metrics) == [f'{d}/{name}' for d in ('t2v', 'v2t') for name in names]

    def test_prefix(self, data_sample):
        metrics = evaluate([TextVideoRetrievalMetric(prefix='msvd')], data_sample)
        assert all(name.startswith('msvd/') for name in metrics)

    def test_keeps_only_floats(self, data_sample):
        metric = TextVideoRetrievalMetric()
        metric.process(None, [data_sample])
        assert all(type(value) is float for value in metric.results[0].values())

    def test_can_be_used_again_after_evaluate(self, data_sample):
        metric = TextVideoRetrievalMetric()
        assert evaluate([metric], data_sample) == evaluate([metric], data_sample)

    def test_refuses_more_than_one_sample(self, data_sample):
        metric = TextVideoRetrievalMetric()
        with pytest.raises(ValueError, match='got 2 after 0'):
            metric.process(None, [data_sample, data_sample])
        metric.process(None, [data_sample])
        with pytest.raises(ValueError, match='got 1 after 1'):
            metric.process(None, [data_sample])

    @pytest.mark.parametrize('results', [[], [{}, {}]])
    def test_refuses_other_than_one_result(self, results):
        with pytest.raises(ValueError, match='one data sample'):
            TextVideoRetrievalMetric().compute_metrics(results)


class TestDumpScores:
    def test_round_trip(self, data_sample, tmp_path):
        path = tmp_path / 'new' / 'scores.npz'
        data_sample |= {'video_ids': ['a', 'b', 'c'], 'captions': list('uvwxy') + ['héron']}
        dump = METRICS.build({'type': 'DumpScores', 'out_file_path': str(path)})
        assert type(dump) is DumpScores
        assert evaluate([dump], data_sample) == {}
        t2v, v2t = data_sample['rankings']['']
        with np.load(path, allow_pickle=False) as arrays:
            assert np.array_equal(arrays['t2v'], t2v)
            assert np.array_equal(arrays['v2t'], v2t)
            assert np.array_equal(
                arrays['discrimination'], data_sample['rankings']['discrimination'][0]
            )
            assert np.array_equal(arrays['video_of_text'], VIDEO_OF_TEXT)
            assert arrays['video_ids'].tolist() == data_sample['video_ids']
            assert arrays['captions'].tolist() == data_sample['captions']
        assert [file.name for file in path.parent.iterdir()] == ['scores.npz']

    def test_says_where_they_are(self, data_sample, tmp_path, monkeypatch):
        lines = []
        monkeypatch.setattr(metrics_module, 'print_log', lambda line, logger: lines.append(line))
        path = str(tmp_path / 'scores.npz')
        evaluate([DumpScores(path)], data_sample)
        assert lines == [f'Score matrices saved to {path}']

    def test_without_optional_entries(self, data_sample, tmp_path):
        del data_sample['rankings']['discrimination']
        evaluate([DumpScores(str(tmp_path / 'scores.npz'))], data_sample)
        with np.load(tmp_path / 'scores.npz') as arrays:
            assert set(arrays.files) == {'t2v', 'v2t', 'video_of_text'}

    def test_bfloat16_with_gradient(self, tmp_path):
        scores = torch.eye(3, dtype=torch.bfloat16, requires_grad=True)
        sample = {'rankings': {'': (scores, scores.T)}, 'video_of_text': torch.arange(3)}
        evaluate([DumpScores(str(tmp_path / 'scores.npz'))], sample)
        with np.load(tmp_path / 'scores.npz') as arrays:
            assert np.array_equal(arrays['t2v'], np.eye(3, dtype=np.float32))

    def test_other_ranks_write_nothing(self, data_sample, tmp_path, monkeypatch):
        monkeypatch.setattr('diffusionret_mm.evaluation.metrics.is_main_process', lambda: False)
        DumpScores(str(tmp_path / 'scores.npz')).process(None, [data_sample])
        assert not list(tmp_path.iterdir())

    def test_failure_keeps_the_older_file(self, data_sample, tmp_path, monkeypatch):
        path = tmp_path / 'scores.npz'
        path.write_bytes(b'old')

        def disk_full(file, **arrays):
            file.write(b'half')
            raise OSError('no space left')

        monkeypatch.setattr(np, 'savez', disk_full)
        with pytest.raises(OSError, match='no space'):
            DumpScores(str(path)).process(None, [data_sample])
        assert path.read_bytes() == b'old'
        assert list(tmp_path.iterdir()) == [path]

    def test_beside_the_metric(self, data_sample, tmp_path):
        dump = DumpScores(str(tmp_path / 'scores.npz'))
        both = evaluate([TextVideoRetrievalMetric(), dump], data_sample)
        assert both == evaluate([TextVideoRetrievalMetric()], data_sample)

    def test_refuses_other_suffixes(self):
        with pytest.raises(ValueError, match=r'\.npz'):
            DumpScores('scores.pkl')
