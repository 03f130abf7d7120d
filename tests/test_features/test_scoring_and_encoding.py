import pytest
import torch
from mmengine.structures import BaseDataElement

from diffusionret_mm.features import encoding, encoding_on_disk, scoring
from diffusionret_mm.features.encoding import FeatureCollector
from diffusionret_mm.features.encoding_on_disk import DiskCollector


@pytest.mark.parametrize('chunk_size', [1, 3, 64])
def test_blocks_change_nothing(tiny_model, features, chunk_size):
    texts, videos = features(num_texts=8, num_videos=5)
    with torch.no_grad():
        whole = tiny_model.similarity(texts, videos)
        blocks = scoring.similarity_matrix(tiny_model, texts, videos, chunk_size)
    torch.testing.assert_close(blocks, whole)


def test_queries_spread_over_processes_score_alike(tiny_model, features, monkeypatch):
    texts, videos = features(num_texts=8, num_videos=5)
    tiny_model.set_stage('generation')
    with torch.no_grad():
        expected = scoring.score_all(tiny_model, texts, videos, 4)
        parts = []
        for rank in range(3):
            monkeypatch.setattr(scoring, 'get_dist_info', lambda rank=rank: (rank, 3))
            monkeypatch.setattr(scoring, 'concat_ranks', lambda part: part[0])

            def rerank(rows):
                return tiny_model.rerank_queries(
                    't2v', expected[0][rows], texts[rows], videos, torch.arange(8)[rows]
                )

            parts.append(scoring.over_ranks(8, rerank))
        assert [len(part) for part in parts] == [2, 3, 3]
    torch.testing.assert_close(torch.cat(parts), expected[1])


def samples(places, captions):
    return [
        BaseDataElement(
            metainfo=dict(
                video_id=f'v{place}',
                video_index=place,
                captions=[f'{place}.{number}' for number in range(captions[place])],
            )
        )
        for place in places
    ]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.parametrize('on_disk', [False, True])
def test_a_split_is_joined_in_its_order_each_video_once(features, tmp_path, on_disk, dtype):
    """Batches hold videos 0, 2, 1 and 0 (a repetition) with 2, 1 and 3 captions."""
    captions = {0: 2, 1: 1, 2: 3}
    texts, videos = features(num_texts=6, num_videos=3)
    texts_of = {0: slice(0, 2), 1: slice(2, 3), 2: slice(3, 6)}
    collector = DiskCollector(tmp_path / 'val', dtype) if on_disk else FeatureCollector(dtype)
    for place in (0, 2, 1, 0):
        collector.add(texts[texts_of[place]], videos[place : place + 1], samples([place], captions))
    split = collector.join()
    assert torch.equal(split.videos.frames, videos.frames.to(dtype))
    assert torch.equal(split.videos.mask, videos.mask)
    assert torch.equal(split.texts.words, texts.words.to(dtype))
    assert torch.equal(split.texts.pooled, texts.pooled.to(dtype))
    assert split.num_bytes == sum(
        value.numel() * (1 if value.dtype == torch.bool else dtype.itemsize)
        for part in (texts, videos)
        for value in part.tensors().values()
    )
    assert split.video_of_text.tolist() == [0, 0, 1, 2, 2, 2]
    assert split.video_ids == ['v0', 'v1', 'v2']
    assert split.captions == ['0.0', '0.1', '1.0', '2.0', '2.1', '2.2']


def test_an_empty_loader():
    with pytest.raises(RuntimeError, match='gave no video'):
        encoding.FeatureCollector().join()


def test_files_of_several_processes_are_joined(features, tmp_path, monkeypatch):
    """Ranks 0 and 1 take turns with the videos, as samplers deal them out."""
    texts, videos = features(num_texts=5, num_videos=5)
    collectors = []
    for rank, rows in enumerate(([0, 2, 4], [1, 3, 0])):
        monkeypatch.setattr(encoding_on_disk, 'get_rank', lambda rank=rank: rank)
        collectors.append(DiskCollector(tmp_path))
        collectors[-1].add(texts[rows], videos[rows], samples(rows, dict.fromkeys(range(5), 1)))
        collectors[-1]._writer.flush()
    first, second = collectors
    gathered = {'samples': [first.samples, second.samples]}
    monkeypatch.setattr(encoding, 'all_gather_object', lambda _: gathered['samples'])
    parts = [(each._writer.root, each._writer.arrays) for each in collectors]
    monkeypatch.setattr(encoding_on_disk, 'get_rank', lambda: 0)
    monkeypatch.setattr(
        encoding_on_disk,
        'all_gather_object',
        lambda value: parts if isinstance(value, tuple) else [value, [None]],
    )
    split = first.join()
    assert torch.equal(split.videos.frames, videos.frames)
    assert torch.equal(split.texts.words, texts.words)
    assert split.video_ids == [f'v{place}' for place in range(5)]
    assert not first._writer.root.exists()


@torch.no_grad()
def test_features_of_half_precision_on_disk_score_as_in_memory(tiny_model, features, tmp_path):
    texts, videos = features(num_texts=5, num_videos=5)
    tiny_model.set_stage('generation')
    matrices = []
    for collector in (FeatureCollector(torch.float16), DiskCollector(tmp_path, torch.float16)):
        collector.add(texts, videos, samples(range(5), dict.fromkeys(range(5), 1)))
        split = collector.join()
        matrices.append(scoring.score_all(tiny_model, split.texts, split.videos, 4))
    exact = scoring.score_all(tiny_model, texts, videos, 4)
    for memory, disk, whole in zip(*matrices, exact, strict=True):
        assert torch.equal(memory, disk)
        assert memory.dtype == torch.float32
        torch.testing.assert_close(memory, whole, rtol=0, atol=2e-3)
