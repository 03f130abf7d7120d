"""What was found, as HTML."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from matplotlib.figure import Figure

from diffusionret_mm.demo.found import Found, FoundVideo
from diffusionret_mm.demo.timeline import Scale, address, bounds, plays, timeline, times
from diffusionret_mm.search import Hit, SentenceHit
from diffusionret_mm.visualization.style import encode_png, to_image

NOTHING = '<p class="note">Nothing was found.</p>'


def results(found: Found) -> str:
    """Return the HTML of a search: how sure it is, and its videos."""
    if found.confidence is None:
        return cards(found.videos)
    sure = f'confidence {100 * found.confidence:.0f} %'
    if found.no_match:
        line = f'<p class="note" id="confidence" role="status">No match: {sure}.</p>'
        return line + (cards(found.videos) if found.videos else '')
    return f'<p class="note" id="confidence">{sure.capitalize()}</p>{cards(found.videos)}'


def cards(found: list[FoundVideo]) -> str:
    """Return the HTML of videos: a player, a time line and the moments of each."""
    if not found:
        return NOTHING
    scale = Scale.of(found)
    return f'<div class="cards">{"".join(_card(video, scale) for video in found)}</div>'


def table(hits: Sequence[SentenceHit]) -> str:
    """Return the HTML of ranked sentences."""
    rows = [
        f'<tr><td>{hit.rank}</td><td>{html.escape(hit.item)}</td>'
        f'<td class="note">{scores(hit)}</td></tr>'
        for hit in hits
    ]
    return f'<table id="captions">{"".join(rows)}</table>'


def picture(figure: Figure, name: str, description: str) -> str:
    """Return the HTML of a picture.

    Args:
        figure: the picture.
        name: its id on the page.
        description: what it shows, for those who do not see it.
    """
    png = base64.b64encode(encode_png(to_image(figure))).decode()
    alt = html.escape(description)
    return f'<figure id="{name}"><img alt="{alt}" src="data:image/png;base64,{png}"></figure>'


def moment_label(video: FoundVideo, hit: Hit) -> str:
    """Return a moment in one line of plain text."""
    return f'{hit.rank}. {video.name}, {times(hit.start, hit.end)}'


def scores(hit: Hit | SentenceHit) -> str:
    """Return the scores of a result, in words."""
    added = '' if hit.generator is None else f', generator {hit.generator:.3f}'
    sure = '' if hit.probability is None else f', probability {hit.probability:.2f}'
    return f'similarity {hit.similarity:.3f}{added}{sure}'


def _card(video: FoundVideo, scale: Scale) -> str:
    name, best = html.escape(video.name), video.hits[0]
    source = address(video.first_span(best), best.start, best.end)
    moments = ''.join(_moment(video, hit) for hit in video.hits)
    return (
        f'<article class="card" aria-label="{name}"><div class="screen">'
        f'<video src="{source}" {bounds(best.start, best.end)} autoplay muted playsinline controls '
        'preload="metadata"></video>'
        '<p class="gone" role="status" hidden>This video cannot be played.</p></div>'
        f'{timeline(video, scale)}<h3>{name}</h3><ol>{moments}</ol></article>'
    )


def _moment(video: FoundVideo, hit: Hit) -> str:
    is_played = str(hit is video.hits[0]).lower()
    line = f'<q class="note">{html.escape(hit.subtitle)}</q>' if hit.subtitle else ''
    return (
        f'<li><button class="hit" {plays(video.first_span(hit), hit.start, hit.end)} '
        f'aria-current="{is_played}">'
        f'<b>{hit.rank}.</b> {times(hit.start, hit.end)} <span class="note">{scores(hit)}</span>'
        f'{line}</button></li>'
    )
