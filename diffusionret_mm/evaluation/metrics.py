"""mmengine metrics on whole score matrices.

The evaluation loop gathers the score matrices of the whole test set on every rank and hands them
to the evaluator as a single data sample:

    dict(
        rankings={'': (t2v [N, M], v2t [M, N]), 'discrimination': (t2v, v2t)},
        video_of_text=Tensor [N],    # row of the video that each text describes
        video_ids=[...], captions=[...],    # optional, M and N strings
        banks=(t2v [B, M], v2t [C, N]),     # optional, similarities of other queries; or None
        answers=[[...], ...],    # optional, rows of all videos that each of the N texts fits
        groups=[...],    # optional, the groups of the M videos that a bootstrap draws
        distributions={'': (t2v, v2t)},    # optional, `Listed` candidates, by rankings
        matches={'': (t2v, v2t)},    # optional, `Matches`, by rankings; probabilities in ''
    )

The ranking named `''` is the final one, the result of the model; others are intermediate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.registry import METRICS
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from diffusionret_mm.evaluation.bootstrap import recall_gain
from diffusionret_mm.evaluation.confidence import list_metrics, match_metrics
from diffusionret_mm.evaluation.post_processing import BANK_POST_PROCESSING, POST_PROCESSING
from diffusionret_mm.evaluation.several_answers import (
    average_precision,
    precision_at_1,
    right_answers,
)
from diffusionret_mm.evaluation.summary import evaluate_ranking
from diffusionret_mm.storage.files import open_atomically


class _WholeMatrixMetric(BaseMetric):
    """A metric that sees the whole test set as one data sample."""

    # mmengine warns about a prefix of None; an empty one leaves the names as they are, too.
    default_prefix = ''

    def process(self, data_batch: object, data_samples: Sequence[dict[str, Any]]) -> None:
        """Reduce the data sample to a small result at once.

        The matrices stay out of `self.results`, because mmengine pickles those across ranks.

        Args:
            data_batch: not used.
            data_samples: the one data sample, as described at the head of this module.

        Raises:
            ValueError: if this is not the only data sample since the last evaluation.
        """
        if len(self.results) + len(data_samples) != 1:
            raise ValueError(
                f'{type(self).__name__} takes the whole score matrices as one data sample; got '
                f'{len(data_samples)} after {len(self.results)}.'
            )
        self.results.append(self._reduce(data_samples[0]))

    def _reduce(self, data_sample: dict[str, Any]) -> object:
        """The small result that stands for the data sample."""
        raise NotImplementedError


@METRICS.register_module()
class TextVideoRetrievalMetric(_WholeMatrixMetric):
    """Recall and rank metrics of text-video retrieval, in both directions.

    Every rank of a distributed run holds the same whole matrices and computes the same numbers;
    the loop calls `evaluate(size=1)`, which keeps those of rank 0. See
    `evaluate_ranking` for the definitions.

    Args:
        topk: Cut-offs k of `R@k`.
        ties: rule for equal scores: 'average', 'optimistic', 'pessimistic' or 'published'.
        grouping: captions of a video: 'own', or 'published', off by one (MSVD).
        post_processing: options by name in `POST_PROCESSING` or `BANK_POST_PROCESSING`, such
            as `{'DSL': {}}`: the final ranking is measured after it too, in a row of that name.
            The latter need banks, which `query_bank` of the loop makes.
        bootstrap: draws of a bootstrap over groups of videos: how sure the difference of R@1
            between the final ranking and 'discrimination' is (`recall_gain`); 0: none.
        collect_device: device for collecting results from other ranks, `'cpu'` or `'gpu'`.
        prefix: put before every name with a slash, to tell several test sets apart.

    Examples:
        >>> metric = TextVideoRetrievalMetric(topk=(1,))
        >>> scores, captions_of = torch.eye(4), torch.arange(4)
        >>> metric.process(None, [dict(rankings={'': (scores, scores.T)},
        ...                            video_of_text=captions_of)])
        >>> metric.evaluate(size=1)['t2v/R@1']
        100.0

    Raises:
        ValueError: if there is no such post-processing, or a bootstrap is wanted of published ties
            or groups, which give a query several ranks.
    """

    def __init__(
        self,
        topk: Sequence[int] = (1, 5, 10, 50),
        ties: str = 'average',
        grouping: str = 'own',
        post_processing: Mapping[str, Mapping[str, Any]] | None = None,
        bootstrap: int = 0,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.options: dict[str, Any] = dict(topk=tuple(topk), ties=ties, grouping=grouping)
        self.post_processing = dict(post_processing or {})
        known = POST_PROCESSING.keys() | BANK_POST_PROCESSING.keys()
        unknown = sorted(self.post_processing.keys() - known)
        if unknown:
            raise ValueError(f'post_processing must be among {sorted(known)}; got {unknown}.')
        if bootstrap and 'published' in (ties, grouping):
            raise ValueError(
                "A bootstrap draws queries with one rank each; with ties='published' or "
                "grouping='published' they have others. Leave one of both out."
            )
        self.bootstrap = bootstrap

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Hand back the metrics of the one data sample.

        Args:
            results: the metrics as computed in `process`.

        Returns:
            `t2v/R@1` to `v2t/MnR` of the final ranking, and the same after `<ranking>/` for
            the others. Where the data sample has them, also `NLL` and `ECE` (`list_metrics`), and
            `NM-AUROC` and `NM-ECE` (`match_metrics`); with a bootstrap `gain/t2v/R@1` to
            `gain/v2t/high`.

        Raises:
            ValueError: if there is not exactly one result.
        """
        return _only(results)

    def _reduce(self, data_sample: dict[str, Any]) -> dict[str, float]:
        video_of_text = data_sample['video_of_text']
        rankings = {
            name: self._post_process(name, data_sample, options)
            for name, options in self.post_processing.items()
        }
        metrics = {
            ranking: evaluate_ranking(t2v, v2t, video_of_text, **self.options)
            for ranking, (t2v, v2t) in (data_sample['rankings'] | rankings).items()
        }
        for ranking, values in _confidence_metrics(data_sample).items():
            metrics[ranking] |= values
        if self.bootstrap:
            metrics['gain'] = self._gain(data_sample)
        return _flatten(metrics)

    def _gain(self, data_sample: dict[str, Any]) -> dict[str, float]:
        before, after = (data_sample['rankings'][name] for name in ('discrimination', ''))
        videos, groups = data_sample['video_of_text'], data_sample['groups']
        return recall_gain(before, after, videos, groups, self.bootstrap)

    @staticmethod
    def _post_process(
        name: str, data_sample: dict[str, Any], options: Mapping[str, Any]
    ) -> tuple[Tensor, Tensor]:
        matrices = data_sample['rankings']['']
        if name in POST_PROCESSING:
            return POST_PROCESSING[name](*matrices, **options)
        if 'banks' not in data_sample:
            raise ValueError(
                f'{name} needs banks of other queries: let the evaluation make them from the '
                'training split, by test_cfg=dict(query_bank=dict()) in the config.'
            )
        banks = (None if bank is None else bank.to(matrices[0]) for bank in data_sample['banks'])
        return BANK_POST_PROCESSING[name](*matrices, *banks, **options)


@METRICS.register_module()
class SeveralAnswersMetric(_WholeMatrixMetric):
    """Average precision, for captions that fit several videos.

    Needs a data set whose entries have `answers`. A text's right answers are the videos that it
    fits, a video's the texts that fit it. In percent, as means over the queries: `P@1`, how often
    the best candidate is right, and `mAP`, see `average_precision`. Arguments are mmengine's.
    """

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Hand back the metrics of the one data sample.

        Args:
            results: the metrics as computed in `process`.

        Returns:
            `t2v/P@1` to `v2t/mAP` of the final ranking, and the same after `<ranking>/` for the
            others.
        """
        return _only(results)

    def _reduce(self, data_sample: dict[str, Any]) -> dict[str, float]:
        if data_sample.get('answers') is None:
            raise ValueError(
                "SeveralAnswersMetric needs the key 'answers' in the entries of the annotation "
                'file: the ids of all videos that each caption fits.'
            )
        metrics = {}
        for ranking, (t2v, v2t) in data_sample['rankings'].items():
            right = right_answers(data_sample['answers'], t2v.shape[1]).to(t2v.device)
            directions = dict(t2v=(t2v, right), v2t=(v2t, right.t()))
            metrics[ranking] = {
                f'{direction}/{name}': 100 * measure(*matrices).mean().item()
                for direction, matrices in directions.items()
                for name, measure in (('P@1', precision_at_1), ('mAP', average_precision))
            }
        return _flatten(metrics)


@METRICS.register_module()
class DumpScores(_WholeMatrixMetric):
    """Save the score matrices for analysis outside of the test run; gives no metric.

    The file holds the arrays `t2v` [N, M] and `v2t` [M, N] of the final ranking, and
    `video_of_text` [N]. If there was a re-ranking, `discrimination` [N, M] has the text-to-video
    scores before it. If the data sample has them, `video_ids` [M] and `captions` [N] are strings.
    All load with `numpy.load` without pickle. Only rank 0 writes, and the file
    appears under its name only when it is complete.

    Args:
        out_file_path: file to write, ending in `.npz`; missing folders are made.
        collect_device: device for collecting results from other ranks, `'cpu'` or `'gpu'`.

    Raises:
        ValueError: if the path does not end in `.npz`.
    """

    def __init__(self, out_file_path: str, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        if not out_file_path.endswith('.npz'):
            raise ValueError(f'Score matrices are written as .npz; got {out_file_path!r}.')
        self.out_file_path = out_file_path

    def compute_metrics(self, results: list[str]) -> dict[str, float]:
        """Log where the matrices were saved.

        Args:
            results: the path of the file.

        Returns:
            No metrics.
        """
        print_log(f'Score matrices saved to {", ".join(results)}', logger='current')
        return {}

    def _reduce(self, data_sample: dict[str, Any]) -> str:
        if is_main_process():
            arrays: dict[str, Any] = _score_arrays(data_sample)
            with open_atomically(self.out_file_path) as file:
                np.savez(file, **arrays)
        return self.out_file_path


def _only(results: list[dict[str, float]]) -> dict[str, float]:
    if len(results) != 1:
        raise ValueError(
            f'Expected the metrics of one data sample; got {len(results)}. '
            'Call evaluate(size=1) after one process().'
        )
    return results[0]


def _flatten(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Join the names of rankings, '' for the final one, and of their metrics."""
    return {
        f'{ranking}/{name}' if ranking else name: value
        for ranking, values in metrics.items()
        for name, value in values.items()
    }


def _confidence_metrics(data_sample: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Metrics of the data sample's distributions and matches, by ranking."""
    video_of_text = data_sample['video_of_text']
    videos = torch.arange(len(data_sample['rankings'][''][1]))
    answers = dict(t2v=(videos, video_of_text), v2t=(video_of_text, videos))
    metrics: dict[str, dict[str, float]] = {}
    for ranking, pair in data_sample.get('distributions', {}).items():
        for (direction, answer), listed in zip(answers.items(), pair, strict=True):
            values = list_metrics(listed, *answer)
            metrics.setdefault(ranking, {}).update(_of(direction, values))
    for ranking, pair in data_sample.get('matches', {}).items():
        for direction, matches in zip(answers, pair, strict=True):
            values = match_metrics(matches, is_probability=ranking == '')
            metrics.setdefault(ranking, {}).update(_of(direction, values))
    return metrics


def _of(direction: str, values: dict[str, float]) -> dict[str, float]:
    return {f'{direction}/{name}': value for name, value in values.items()}


def _score_arrays(data_sample: dict[str, Any]) -> dict[str, Any]:
    """The arrays of the dump by their names in the file."""
    rankings = data_sample['rankings']
    t2v, v2t = rankings['']
    tensors = {'t2v': t2v, 'v2t': v2t, 'video_of_text': data_sample['video_of_text']}
    if 'discrimination' in rankings:
        tensors['discrimination'] = rankings['discrimination'][0]
    arrays = {name: _to_numpy(tensor) for name, tensor in tensors.items()}
    for name in ('video_ids', 'captions'):
        if name in data_sample:
            arrays[name] = np.array(data_sample[name], dtype=np.str_)
    return arrays


def _to_numpy(tensor: Tensor) -> np.ndarray:
    # NumPy has no bfloat16.
    tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return tensor.detach().cpu().numpy()
