"""What a search has found, video by video."""

from diffusionret_mm.demo.found import by_video


def test_videos_stand_in_the_order_of_their_best_moments(scored):
    spans = [
        scored('b.mp4', 10.0, 12.0, score=0.9),
        scored('a.mp4', 0.0, 2.0, score=0.8),
        scored('b.mp4', 0.0, 2.0, score=0.7),
        scored('c.mp4', 0.0, 2.0, score=0.1),
    ]
    found = by_video(spans, top_k=3)
    assert [video.name for video in found] == ['b.mp4', 'a.mp4']
    assert [[hit.rank for hit in video.hits] for video in found] == [[1, 3], [2]]
    assert [span.start for span in found[0].spans] == [0.0, 10.0]


def test_spans_that_are_not_shown_are_in_the_time_line(scored):
    spans = [scored(start=4.0 * n, end=4.0 * n + 2, score=1 - n / 10) for n in range(6)]
    (video,) = by_video(spans, top_k=8)
    assert len(video.hits) == 3
    assert len(video.spans) == 6


def test_nothing():
    assert by_video([], top_k=8) == []
