"""Compare samplers with DDIM in all steps: python tools/benchmarks/samplers.py CONFIG CHECKPOINT.

For each it prints the share of queries whose right candidate keeps its rank, R@1, and the seconds
of the re-ranking, for text-to-video and video-to-text.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from measuring import timed
from torch import Tensor

from diffusionret_mm.apis.command_line import add_run_options, load_config
from diffusionret_mm.apis.run import build_runner
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation import Ranks, grouped_query_ranks, query_ranks
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.features.encoding import EncodedSplit
from diffusionret_mm.features.scoring import similarity_matrix
from diffusionret_mm.models.retrievers import DiffusionRet

REFERENCE = 'DDIMScheduler'
SAMPLERS = (REFERENCE, 'DPMSolverMultistepScheduler', 'UniPCMultistepScheduler')
STEPS = (50, 25, 10, 5, 3, 2, 1)
DRAWS = (4, 16)
COLUMNS = ('t2v same', 'v2t same', 't2v R@1', 'v2t R@1', 'seconds')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Compare samplers')
    add_run_options(parser, checkpoint=True)
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the table to this file')
    return parser.parse_args()


class Comparison:
    """Re-ranks the test split in different ways.

    Args:
        model: the retriever, in stage 'generation'.
        split: its features.
        scores: its similarities, [N, M].
    """

    def __init__(self, model: DiffusionRet, split: EncodedSplit, scores: Tensor) -> None:
        self.model, self.split, self.scores = model, split, scores
        self.num_train_steps = model.generators['t2v'].num_train_steps
        self.reference = self.rerank(REFERENCE, self.num_train_steps)[0]

    def rerank(self, sampler: str, steps: int) -> tuple[tuple[Ranks, Ranks], float]:
        """Return the ranks of both directions and the seconds."""
        for generator in self.model.generators.values():
            generator.set_sampler(dict(type=sampler), steps)
        split = self.split
        seconds, (t2v, v2t) = timed(
            lambda: self.model.rerank(self.scores, split.texts, split.videos), self.scores.device
        )
        own = split.video_of_text.to(t2v.device)
        return (query_ranks(t2v, own), grouped_query_ranks(v2t, own)), seconds

    def row(self, sampler: str, steps: int) -> dict[str, float]:
        """Compare one way of sampling with the reference."""
        ranks, seconds = self.rerank(sampler, steps)
        same = [
            100 * (mine.average == theirs.average).double().mean().item()
            for mine, theirs in zip(ranks, self.reference, strict=True)
        ]
        recalls = [part.recall(1) for part in ranks]
        return dict(zip(COLUMNS, (*same, *recalls, seconds), strict=True))

    def rows(self) -> dict[str, dict[str, float]]:
        """Compare everything: samplers and steps, other noise, several draws."""
        steps = [count for count in STEPS if count < self.num_train_steps]
        table = {
            f'{sampler}, {count} steps': self.row(sampler, count)
            for sampler in SAMPLERS
            for count in (self.num_train_steps, *steps)
        }
        self.model.noise_seed += 1
        table['reference, another start noise'] = self.row(REFERENCE, self.num_train_steps)
        self.model.noise_seed -= 1
        for self.model.num_draws in DRAWS:
            name = f'reference, {self.model.num_draws} draws'
            table[name] = self.row(REFERENCE, self.num_train_steps)
        return table


def encode(args: argparse.Namespace) -> tuple[DiffusionRet, EncodedSplit, Tensor]:
    """Load the model and encode the test split as `tools/test.py` does."""
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    runner = build_runner(cfg)
    loop = runner.test_loop
    runner.load_or_resume()
    model = runner.model.eval()
    runner.call_hook('before_test_epoch')  # starts the timer of the iterations
    split = loop.encode(model)
    return model, split, similarity_matrix(model, split.texts, split.videos, loop.chunk_size)


def print_table(table: dict[str, dict[str, Any]]) -> None:
    """Print a line per sampler."""
    columns = [label('sampler'), *(Column(name, number='.2f') for name in COLUMNS)]
    rows = [[name, *(row[column] for column in COLUMNS)] for name, row in table.items()]
    print(format_table(columns, rows))


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    with torch.no_grad():
        table = Comparison(*encode(args)).rows()
    print_table(table)
    if args.json:
        args.json.write_text(json.dumps(table, indent=2))


if __name__ == '__main__':
    main()
