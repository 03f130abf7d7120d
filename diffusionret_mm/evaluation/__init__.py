"""From score matrices to numbers: ranks, metrics, and what is printed and saved of them.

`post_processing` changes matrices, `ranking` finds ranks in them, and `summary` makes numbers of
ranks. `metrics` wraps them for mmengine's evaluator, and `results` prints and saves them. `tables`
draws every table of the project.
"""

from diffusionret_mm.evaluation.metrics import (
    DumpScores,
    SeveralAnswersMetric,
    TextVideoRetrievalMetric,
)
from diffusionret_mm.evaluation.post_processing import (
    BANK_POST_PROCESSING,
    POST_PROCESSING,
    dual_softmax,
    inverted_softmax,
    querybank_normalisation,
)
from diffusionret_mm.evaluation.ranking import Ranks, grouped_query_ranks, query_ranks
from diffusionret_mm.evaluation.results import METRICS_FILE, format_metrics, write_metrics
from diffusionret_mm.evaluation.summary import evaluate_ranking, off_by_one, retrieval_metrics

__all__ = [
    'METRICS_FILE',
    'BANK_POST_PROCESSING',
    'POST_PROCESSING',
    'DumpScores',
    'Ranks',
    'SeveralAnswersMetric',
    'TextVideoRetrievalMetric',
    'dual_softmax',
    'evaluate_ranking',
    'format_metrics',
    'grouped_query_ranks',
    'inverted_softmax',
    'off_by_one',
    'query_ranks',
    'querybank_normalisation',
    'retrieval_metrics',
    'write_metrics',
]
