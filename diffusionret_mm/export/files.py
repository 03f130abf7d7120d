"""The files of a folder of exported encoders."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from diffusionret_mm.storage.files import write_json

TEXT_FILE = 'text_encoder.onnx'
VIDEO_FILE = 'video_encoder.onnx'
FACTS_FILE = 'encoders.json'


class ExportError(RuntimeError):
    """Encoders cannot be exported, or their export is damaged or computes something else."""


@dataclass(frozen=True)
class EncoderFacts:
    """The sizes and the origin of exported encoders.

    Args:
        max_words: tokens of a text, at most.
        max_frames: frames of a video, at most; None without bound.
        image_size: height and width of a frame in pixels.
        width: width D of words and frames.
        vocabulary: number of token ids.
        fills_context: whether texts must be padded to `max_words`.
        weights: hash of the model's weights, as the feature cache makes it.
    """

    max_words: int
    max_frames: int | None
    image_size: tuple[int, int]
    width: int
    weights: str
    vocabulary: int = 49408
    fills_context: bool = False


def write_facts(folder: Path, facts: EncoderFacts) -> None:
    """Write the facts into the folder of the graphs."""
    write_json(folder / FACTS_FILE, asdict(facts), indent=2)


def read_facts(folder: Path) -> EncoderFacts:
    """Read the facts.

    Raises:
        ExportError: if the folder holds no complete export.
    """
    missing = [n for n in (FACTS_FILE, TEXT_FILE, VIDEO_FILE) if not (folder / n).is_file()]
    if missing:
        raise ExportError(
            f'{folder} holds no exported encoders: {", ".join(missing)} missing. '
            'tools/export_onnx.py writes them.'
        )
    try:
        facts = json.loads((folder / FACTS_FILE).read_text())
        return EncoderFacts(**dict(facts, image_size=tuple(facts['image_size'])))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ExportError(f'{folder / FACTS_FILE} is damaged ({error}); export again.') from None
