"""Tables of the errors of a split: which kinds there are, and what re-ranking does to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from diffusionret_mm.evaluation.confusions import Confusions, Relation
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.visualization.page import Table
from diffusionret_mm.visualization.recall import DIRECTIONS

KINDS = (
    'What comes first in place of the right video, in % of the queries. Mended: right after '
    're-ranking. Made: right before it.'
)
TOLD_APART = (
    'How often a video is not told apart from the right one, in % of the pairs: it scores at least '
    'as high. Guessing gives 50 %.'
)


class ErrorTables:
    """What a model confuses in a split.

    Args:
        confusions: those of each direction.
        reranks: whether the model has a second stage; else the tables show the similarity alone.
    """

    def __init__(self, confusions: Mapping[str, Confusions], reranks: bool) -> None:
        self.confusions = confusions
        self.reranks = reranks

    def tables(self) -> dict[str, Table]:
        """Return the tables by the sentence that explains them; empty ones are left out."""
        tables = {KINDS: self._kinds(), TOLD_APART: self._told_apart()}
        return {text: table for text, table in tables.items() if table.rows}

    def text(self) -> str:
        """Return the tables for a terminal."""
        parts = []
        for text, table in self.tables().items():
            numbers = (Column(name, number='.2f') for name in table.head[2:])
            columns = [*map(label, table.head[:2]), *numbers]
            parts.append(format_table(columns, table.rows, text))
        return '\n\n'.join(parts)

    def figures(self) -> dict[str, Any]:
        """Return the counts by direction, for JSON; without a second stage before is after."""
        return {
            direction: dict(
                queries=len(found.own),
                kinds=[asdict(row) for row in found.kinds()],
                told_apart=[asdict(row) for row in found.told_apart()],
            )
            for direction, found in self.confusions.items()
        }

    def _kinds(self) -> Table:
        names = ['before', 'after', 'mended', 'made'] if self.reranks else ['before']
        heads = dict(before='similarity', after='final', mended='mended', made='made')
        rows = []
        for direction, found in self.confusions.items():
            counts = [(row.kind, [getattr(row, name) for name in names]) for row in found.kinds()]
            sums = [sum(values) for values in zip(*(own for _, own in counts), strict=True)]
            for kind, values in [*counts, ('all', sums)]:
                shares = [100 * value / len(found.own) for value in values]
                rows.append([DIRECTIONS[direction], kind, *shares])
        return Table(['direction', 'error', *(heads[name] for name in names)], rows)

    def _told_apart(self) -> Table:
        rows = []
        for direction, found in self.confusions.items():
            for row in found.told_apart():
                wrong = [row.before, row.after] if self.reranks else [row.before]
                shares = [100 * value / row.pairs for value in wrong]
                name = _name(row.relation)
                rows.append([DIRECTIONS[direction], name, str(row.pairs), *shares])
        head = ['direction', 'not told apart', 'pairs', 'similarity', 'final']
        return Table(head if self.reranks else head[:-1], rows)


def _name(relation: Relation) -> str:
    return f'{relation.kind}: {relation.detail}' if relation.detail else relation.kind
