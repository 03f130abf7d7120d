import pytest
import torch
from mmengine.structures import BaseDataElement

from diffusionret_mm.engine import encoding, scoring
from diffusionret_mm.engine.encoding import FeatureCollector


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


def test_a_split_is_joined_in_its_order_each_video_once(features, monkeypatch):
    """Two processes hold videos 0, 2 and 1, 0 (a repetition) with 2, 1 and 3 captions."""
    captions = {0: 2, 1: 1, 2: 3}
    texts, videos = features(num_texts=6, num_videos=3)
    texts_of = {0: slice(0, 2), 1: slice(2, 3), 2: slice(3, 6)}
    collector = FeatureCollector()
    for place in (0, 2, 1, 0):
        collector.add(texts[texts_of[place]], videos[place : place + 1], samples([place], captions))
    split = collector.join()
    torch.testing.assert_close(split.videos.frames, videos.frames)
    torch.testing.assert_close(split.texts.pooled, texts.pooled)
    assert split.video_of_text.tolist() == [0, 0, 1, 2, 2, 2]
    assert split.video_ids == ['v0', 'v1', 'v2']
    assert split.captions == ['0.0', '0.1', '1.0', '2.0', '2.1', '2.2']


def test_an_empty_loader():
    with pytest.raises(RuntimeError, match='gave no video'):
        encoding.FeatureCollector().join()
