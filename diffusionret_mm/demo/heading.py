"""What the page says about itself: what it searches, and by which model."""

from __future__ import annotations

import html

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.passport import CUSTOM
from diffusionret_mm.search import Gallery

HOUR, MINUTE = 3600, 60


def heading(inferencer: TextVideoInferencer, gallery: Gallery) -> str:
    """Return the HTML of the heading: videos and hours of the gallery, and the model."""
    parts = [_count(len(gallery), 'video')]
    seconds = gallery.latest().seconds
    if seconds:
        parts.append(length(seconds))
    name = html.escape(model_name(inferencer))
    return (
        f'<div class="heading"><h1>Search {", ".join(parts)}</h1><p class="note">{name}</p></div>'
    )


def model_name(inferencer: TextVideoInferencer) -> str:
    """Return the class of the model and its encoder."""
    passport = inferencer.model.backbone.passport
    name = type(inferencer.model).__name__
    if passport is None or passport.arch == CUSTOM:
        return name
    return f'{name} with {passport.arch}' + (f' ({passport.weights})' if passport.weights else '')


def length(seconds: float) -> str:
    """Return a length of time as a visitor reads it.

    Args:
        seconds: the time.

    Examples:
        >>> length(9000), length(90), length(40)
        ('2.5 hours', '1.5 minutes', '40 seconds')
    """
    for unit, name in ((HOUR, 'hour'), (MINUTE, 'minute')):
        if seconds >= unit:
            return _count(round(seconds / unit, 1), name)
    return _count(round(seconds), 'second')


def _count(number: float, name: str) -> str:
    text = f'{number:,.1f}'.removesuffix('.0')
    return f'{text} {name}{"" if number == 1 else "s"}'
