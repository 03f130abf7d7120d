"""How sure a search wants to be before it shows what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever


def check_probability(least: float) -> None:
    """Refuse what is no probability.

    Raises:
        ValueError: if it is none.
    """
    if not 0 <= least <= 1:
        raise ValueError(f'The least confidence is a probability, from 0 to 1; got {least}.')


def check_confidence(model: TextVideoRetriever, least: float | None) -> None:
    """Refuse a least confidence of a model that has no confidence.

    Args:
        model: the retriever.
        least: the least confidence; None: none is asked for.

    Raises:
        ValueError: if the model has none, or `least` is no probability.
    """
    if least is None:
        return
    check_probability(least)
    if model.no_confidence is not None:
        raise ValueError(f'{model.no_confidence} Search without a least confidence.')
