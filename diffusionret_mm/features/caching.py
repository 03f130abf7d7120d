"""One pass of the frozen extractor over the training set."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from diffusionret_mm.features.hard_negatives import hardest_of_training_set
from diffusionret_mm.features.open_or_build import Log, check_space
from diffusionret_mm.features.store import FeatureWriter
from diffusionret_mm.features.whole_videos import WholeVideos
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.storage.progress import progress_bar

Precision = Callable[[], AbstractContextManager[None]]


@torch.no_grad()
def cache_features(
    writer: FeatureWriter,
    model: TextVideoRetriever,
    videos: WholeVideos,
    *,
    batch_size: int,
    num_workers: int,
    log: Log,
    precision: Precision = nullcontext,
    views: int = 0,
) -> None:
    """Write the features of all videos and captions, and hard negatives if the model wants them.

    The global random states are left as they were, so a run that builds the cache goes on like
    one that finds it.

    Args:
        writer: writes the arrays words [number of real tokens, D], text_mask [N, L], pooled
            [N, D], frames [M, F, D], frame_mask [M, F], video_index [M] and texts_of_video [M];
            if the model wants cached negatives also negative_videos [N, K] and negative_texts
            [M, K]. Further views have frames_1 and frame_mask_1, frames_2 and so on.
        model: in stage 'generation', where its extractor is frozen.
        videos: the training set. Unreadable videos that may be skipped are left out.
        batch_size: videos that are encoded at a time.
        num_workers: loader processes.
        log: takes messages.
        precision: makes the context of mixed precision that training encodes in.
        views: number of random draws of each video that are kept; 0: one, without random draws.

    Raises:
        OSError: if the disk has no room.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        with precision():
            first = videos.as_view(0) if views else videos
            encode_videos(writer, model, first, batch_size, num_workers, log)
            for view in range(1, views):
                _encode_view(writer, model, videos.as_view(view), batch_size, num_workers)
        if model.num_cached_negatives is not None:
            given = videos.imported_scores() if model.similarity.is_imported else None
            found = hardest_of_training_set(
                model, writer.read_back(), model.num_cached_negatives, given
            )
            for name, rows in found.items():
                writer.append(name, rows)


def encode_videos(
    writer: FeatureWriter,
    model: TextVideoRetriever,
    videos: WholeVideos,
    batch_size: int,
    num_workers: int,
    log: Log,
) -> None:
    """Write the features of all videos and captions; arguments as of `cache_features`."""
    loader = DataLoader(videos, batch_size, num_workers=num_workers, collate_fn=list)
    with progress_bar(len(videos), 'features', 'video') as progress:
        for batch in loader:
            items = [item for item in batch if item is not None]
            if items:
                is_first = not writer.arrays
                _write_batch(writer, model, items)
                if is_first:
                    _announce(writer, videos, log)
            progress.update(len(batch))


def _encode_view(
    writer: FeatureWriter,
    model: TextVideoRetriever,
    videos: WholeVideos,
    batch_size: int,
    num_workers: int,
) -> None:
    """Write the frames of a further view; arguments as of `cache_features`."""
    assert videos.view is not None
    loader = DataLoader(videos, batch_size, num_workers=num_workers, collate_fn=list)
    with progress_bar(len(videos), f'view {videos.view + 1}', 'video') as progress:
        for batch in loader:
            items = [item for item in batch if item is not None]
            if items:
                data = model.data_preprocessor(pseudo_collate(items), False)['inputs']
                features = model.encode_video(data['frames'], data['frame_mask'])
                writer.append(f'frames_{videos.view}', features.frames)
                writer.append(f'frame_mask_{videos.view}', features.mask)
            progress.update(len(batch))


def _write_batch(
    writer: FeatureWriter, model: TextVideoRetriever, items: list[dict[str, Any]]
) -> None:
    data = model.data_preprocessor(pseudo_collate(items), False)
    texts, frames = model(**data, mode='tensor')
    writer.append('words', texts.words[texts.mask])
    writer.append('text_mask', texts.mask)
    writer.append('pooled', texts.pooled)
    writer.append('frames', frames.frames)
    writer.append('frame_mask', frames.mask)
    writer.append('video_index', data['inputs']['video_index'])
    writer.append('texts_of_video', torch.tensor([len(item['inputs']['ids']) for item in items]))


def _announce(writer: FeatureWriter, videos: WholeVideos, log: Log) -> None:
    """Say what is coming, judging by the first batch, and check that there is room for it."""
    done_videos, done_texts = (writer.arrays[name]['shape'][0] for name in ('frames', 'pooled'))
    of_videos = writer.num_bytes('frames', 'frame_mask')
    of_texts = writer.num_bytes('words', 'text_mask', 'pooled')
    total = of_videos / done_videos * len(videos) + of_texts / done_texts * videos.num_captions
    log(
        f'Caching features of {len(videos):,} videos and {videos.num_captions:,} texts: about '
        f'{total / 1e9:.2f} GB in {writer.root.parent}'
    )
    check_space(writer.root, int(total) - of_videos - of_texts)
