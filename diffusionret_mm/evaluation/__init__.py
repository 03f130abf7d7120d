"""From score matrices to numbers: ranks, metrics, and their report.

``ranking`` holds the functions on matrices, ``metrics`` wraps them for mmengine's evaluator and
``report`` prints and saves the result.
"""

from diffusionret_mm.evaluation.metrics import DumpScores, TextVideoRetrievalMetric
from diffusionret_mm.evaluation.ranking import (
    evaluate_ranking,
    grouped_query_ranks,
    query_ranks,
    retrieval_metrics,
)
from diffusionret_mm.evaluation.report import format_table, write_metrics

__all__ = [
    'DumpScores',
    'TextVideoRetrievalMetric',
    'evaluate_ranking',
    'format_table',
    'grouped_query_ranks',
    'query_ranks',
    'retrieval_metrics',
    'write_metrics',
]
