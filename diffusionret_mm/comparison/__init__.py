"""Several configs, several seeds, one table."""

from diffusionret_mm.comparison.runs import ComparisonError, Method, load_methods, run_seed
from diffusionret_mm.comparison.table import Row, summarise, write_csv, write_markdown, write_plot

__all__ = [
    'ComparisonError',
    'Method',
    'Row',
    'load_methods',
    'run_seed',
    'summarise',
    'write_csv',
    'write_markdown',
    'write_plot',
]
