"""What a gallery's search is compared with: FAISS and exact WTI, and Lance's own MaxSim."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import lance
import numpy as np
import pyarrow as pa
from measuring import memory_mb, quantiles

from diffusionret_mm.models.retrievers import DiffusionRet
from diffusionret_mm.search import Gallery
from diffusionret_mm.search.candidates import NUM_CANDIDATES
from diffusionret_mm.search.pooling import pool_texts
from diffusionret_mm.search.schema import POOLED
from diffusionret_mm.search.steps import score_candidates
from diffusionret_mm.structures import TextFeatures, VideoFeatures

ROWS_PER_BATCH = 4096


def import_faiss() -> ModuleType:
    """Import FAISS, which no other part of the project needs.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'This benchmark compares with FAISS, which is not installed; install it by '
            '`pip install faiss-cpu`.'
        ) from error
    return faiss


def search_by_faiss(
    model: DiffusionRet, texts: TextFeatures, gallery: Gallery, count: int
) -> tuple[dict[str, float], list[list[int]]]:
    """Compare all pooled vectors, and score as many candidates as the product does by exact WTI.

    Args:
        model: the retriever.
        texts: the queries.
        gallery: has the vectors and the frames.
        count: results wanted per query.

    Returns:
        Warm times and memory; and the rows of the results.
    """
    faiss, snapshot = import_faiss(), gallery.latest()
    faiss.omp_set_num_threads(max(1, faiss.omp_get_max_threads()))
    width = gallery.facts.layout[POOLED].shape[0]
    index, rows, names = faiss.IndexFlatIP(width), [], []
    columns = dict(columns=[POOLED, 'path'], with_row_id=True, batch_size=ROWS_PER_BATCH)
    for batch in snapshot.dataset.to_batches(**columns):
        index.add(batch[POOLED].flatten().to_numpy().reshape(-1, width))
        rows.append(batch['_rowid'].to_numpy())
        names += [int(path.removesuffix('.mp4')) for path in batch['path'].to_pylist()]
    rows, names = np.concatenate(rows).astype(np.int64), np.array(names)
    pooled = pool_texts(model, texts).numpy()
    for _ in range(2):  # the first pass warms up
        found, seconds = [], dict(pooled=[], similarity=[])
        for number in range(len(texts)):
            times = [time.perf_counter()]
            places = index.search(pooled[number : number + 1], NUM_CANDIDATES)[1][0]
            places = places[places >= 0]
            times.append(time.perf_counter())
            text = texts[number : number + 1]
            _, scores = score_candidates(model, text, snapshot, rows[places])
            times.append(time.perf_counter())
            best = scores.topk(min(count, len(scores))).indices.numpy()
            found.append(names[places[best]].tolist())
            for step, value in zip(seconds, np.diff(times).tolist(), strict=True):
                seconds[step].append(value)
    totals = np.sum([*seconds.values()], axis=0).tolist()
    figures = {}
    for step, values in dict(seconds, query=totals).items():
        figures |= quantiles(step, values)
    return dict(figures, private_mb=memory_mb('RssAnon')), found


def search_by_max_sim(
    texts: TextFeatures, videos: VideoFeatures, folder: Path, count: int
) -> tuple[dict[str, float], list[list[int]]]:
    """Search a multi-vector column of Lance, all rows compared: words count alike, one direction.

    Args:
        texts: the queries.
        videos: the spans.
        folder: where the table is made.
        count: results wanted per query.

    Returns:
        Warm times; and the rows of the results.
    """
    num_spans, num_frames, width = videos.frames.shape
    flat = pa.array(videos.frames.flatten().numpy())
    starts = pa.array(np.arange(num_spans + 1, dtype=np.int32) * num_frames)
    frames = pa.ListArray.from_arrays(starts, pa.FixedSizeListArray.from_arrays(flat, width))
    table = pa.table(dict(row=pa.array(range(num_spans)), frames=frames))
    dataset = lance.write_dataset(table, str(folder))
    for _ in range(2):  # the first pass warms up
        found, seconds = [], []
        for words in texts.words:
            start = time.perf_counter()
            near: dict[str, Any] = dict(
                column='frames', q=words.numpy(), k=count, metric='cosine', use_index=False
            )
            scanner = dataset.scanner(columns=['row', '_distance'], nearest=near)
            found.append(scanner.to_table()['row'].to_pylist())
            seconds.append(time.perf_counter() - start)
    return quantiles('query', seconds), found
