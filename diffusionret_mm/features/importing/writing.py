"""From sources to the folder that `FeatureDataset` reads."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.features.importing.items import SIDES, ImportFeaturesError, Names
from diffusionret_mm.features.importing.matching import Matched, describe, match, refuse_defects
from diffusionret_mm.features.importing.pairs import Pair, pairs_of_ids, read_pairs
from diffusionret_mm.features.importing.scores import read_scores, write_scores
from diffusionret_mm.features.importing.sources import Sources
from diffusionret_mm.features.importing.spool import Kept, Spool
from diffusionret_mm.features.open_or_build import Log, check_space
from diffusionret_mm.features.store import FeatureWriter
from diffusionret_mm.storage.files import write_json
from diffusionret_mm.storage.folders import build_folder
from diffusionret_mm.storage.locks import locked

VIDEOS_FILE = 'videos.json'  # ids and captions, beside the arrays
CHUNK = 256  # videos that are written at a time
KIND = dict(kind='imported features')


def import_features(
    sources: Sources,
    out: Path,
    *,
    names: Mapping[str, str],
    log: Log,
    pooled: str | None = None,
    skip_missing: bool = False,
    scores: Sequence[Path] = (),
    rows: str | None = None,
) -> None:
    """Read features of videos and texts, and write those that belong together.

    The folder holds the arrays of a `FeatureStore`, and `videos.json` with ids and captions. Videos
    are in the order of the pairs, or else of the texts; texts keep their order in a video.

    Args:
        sources: where features and pairs come from.
        out: folder to be made.
        names: what the fields are called in the sources; see `Names`.
        log: takes the table, and what is odd.
        pooled: see `Spool`.
        skip_missing: whether pairs without features may be left out.
        scores: files of `read_scores`, whose rows and columns are in the order of the sources.
        rows: see `read_scores`.

    Raises:
        ImportFeaturesError: if something cannot be read, or cannot be trusted.
        FileExistsError: if the folder exists already.
        OSError: if the disk has no room.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f'{out} exists already; give --out another folder, or remove it.')
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(locked(out, on_wait=log))
        scratch = Path(
            stack.enter_context(tempfile.TemporaryDirectory(dir=out.parent, prefix=f'.{out.name}-'))
        )
        spools = {side: Spool(scratch / side, side, pooled) for side in SIDES}
        for side, spool in spools.items():
            stack.enter_context(closing(spool))
            for item in sources.items(Names(side, dict(names))):
                spool.add(item)
            if not spool.seen:
                raise ImportFeaturesError(f'The sources hold no {side}.')
        matched = _match(sources.pairs, spools, skip_missing, log)
        counts = len(spools['texts'].seen), len(spools['videos'].seen)
        _write(out, matched, spools, read_scores(scores, rows, *counts))


def _match(path: Path | None, spools: Mapping[str, Spool], skip_missing: bool, log: Log) -> Matched:
    pairs = (
        pairs_of_ids(spools['texts'].seen, spools['videos'].seen)
        if path is None
        else read_pairs(path)
    )
    matched = match(pairs, **spools)
    log(describe(matched, spools))
    for spool in spools.values():
        if spool.zero:
            log(f'Some {spool.side} have features of nothing but zeros, such as {spool.zero[0]}.')
    refuse_defects(matched, spools, skip_missing, 'the ids' if path is None else str(path))
    return matched


def _write(
    out: Path, matched: Matched, spools: Mapping[str, Spool], scores: Mapping[str, Tensor]
) -> None:
    kept = {side: spool.open() for side, spool in spools.items()}
    videos = [spools['videos'].row_of[key] for key in matched.texts_of_video]
    texts = [
        [spools['texts'].row_of[pair.text] for pair in pairs]
        for pairs in matched.texts_of_video.values()
    ]
    entries = [_entry(key, pairs, spools['texts']) for key, pairs in matched.texts_of_video.items()]
    with build_folder(out) as folder:
        writer = FeatureWriter(folder)
        with closing(writer):
            frames = int(kept['videos'].lengths[videos].max())
            words = int(kept['texts'].lengths[np.concatenate(texts)].max())
            width = kept['videos'].arrays['rows'].shape[1]
            size = len(videos) * (frames * width + len(scores) * matched.num_texts)
            check_space(folder, 4 * size)
            for start in range(0, len(videos), CHUNK):
                part = slice(start, start + CHUNK)
                _write_videos(writer, kept['videos'], np.array(videos[part]), frames, start)
                _write_texts(writer, kept['texts'], texts[part], words)
            write_scores(writer, scores, np.concatenate(texts), np.array(videos))
            write_json(folder / VIDEOS_FILE, entries)
            writer.finish(KIND)


def _entry(key: str, pairs: Sequence[Pair], texts: Spool) -> dict[str, Any]:
    entry: dict[str, Any] = dict(video_id=key, captions=[_caption(pair, texts) for pair in pairs])
    if pairs[0].group is not None:
        entry['group'] = pairs[0].group
    return entry


def _caption(pair: Pair, texts: Spool) -> str:
    return pair.caption or texts.captions[texts.row_of[pair.text]] or pair.text


def _write_videos(
    writer: FeatureWriter, kept: Kept, rows: np.ndarray, length: int, start: int
) -> None:
    frames, mask = kept.padded(rows, length)
    writer.append('frames', torch.from_numpy(frames))
    writer.append('frame_mask', torch.from_numpy(mask))
    writer.append('video_index', torch.arange(start, start + len(rows)))


def _write_texts(writer: FeatureWriter, kept: Kept, texts: list[list[int]], length: int) -> None:
    rows = np.concatenate(texts)
    words, mask = kept.padded(rows, length)
    writer.append('words', torch.from_numpy(words[mask]))
    writer.append('text_mask', torch.from_numpy(mask))
    writer.append('pooled', torch.from_numpy(kept.arrays['pooled'][rows]))
    writer.append('texts_of_video', torch.tensor([len(each) for each in texts]))
