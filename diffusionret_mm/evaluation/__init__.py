"""From score matrices to numbers: ranks, metrics, and their report.

`post_processing` changes matrices, `ranking` finds ranks in them, `summary` makes numbers of
ranks, `metrics` wraps them for mmengine's evaluator and `report` prints and saves the result.
"""

from diffusionret_mm.evaluation.metrics import DumpScores, TextVideoRetrievalMetric
from diffusionret_mm.evaluation.post_processing import (
    BANK_POST_PROCESSING,
    POST_PROCESSING,
    dual_softmax,
    inverted_softmax,
    querybank_normalisation,
)
from diffusionret_mm.evaluation.ranking import Ranks, grouped_query_ranks, query_ranks
from diffusionret_mm.evaluation.report import format_table, write_metrics
from diffusionret_mm.evaluation.summary import evaluate_ranking, off_by_one, retrieval_metrics

__all__ = [
    'BANK_POST_PROCESSING',
    'POST_PROCESSING',
    'DumpScores',
    'Ranks',
    'TextVideoRetrievalMetric',
    'dual_softmax',
    'evaluate_ranking',
    'format_table',
    'grouped_query_ranks',
    'inverted_softmax',
    'off_by_one',
    'query_ranks',
    'querybank_normalisation',
    'retrieval_metrics',
    'write_metrics',
]
