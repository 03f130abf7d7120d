"""How sure a search is: probabilities of hits, and no match."""

import json
from dataclasses import replace

import pytest
import torch

from diffusionret_mm.search import Hit, SearchResult, hide_unsure

pytest.importorskip('lance')
TEXT = 'a red circle moves left'


@pytest.fixture
def inferencer(sure_clips):
    """The tiny model, calibrated."""
    return sure_clips.inferencer


@pytest.fixture
def gallery(sure_clips):
    """A gallery of six clips; four are re-ranked."""
    return sure_clips.gallery


@pytest.fixture
def search(sure_clips, run_tool):
    """A function that searches the gallery by the tool and returns what it printed."""

    def run(*arguments, status=0, gallery=sure_clips.gallery):
        done = run_tool('search', gallery.folder, *arguments, '--device', 'cpu')
        assert done.status == status, done.err
        return done

    return run


def test_the_probabilities_are_those_of_the_model(inferencer, gallery):
    result = inferencer.search(TEXT, gallery)
    videos = inferencer.encode_video([hit.video for hit in result.hits])
    videos = videos.to(videos.frames.half()).to(videos.frames)
    text = inferencer.encode_text(TEXT)
    with torch.no_grad():
        query = 't2v', inferencer.model.similarity(text, videos), text, videos, torch.arange(1)
        sure = inferencer.model.rerank_and_judge(*query)
    by_place = dict(
        zip(sure.best[0].tolist(), sure.judgement.probabilities[0].tolist(), strict=True)
    )
    for place, hit in enumerate(result.hits):
        expected = by_place.get(place)
        assert hit.probability == (None if expected is None else pytest.approx(expected, abs=0.01))
    assert sum(hit.probability is not None for hit in result.hits) == 4
    assert sum(hit.probability or 0 for hit in result.hits) == pytest.approx(1, abs=1e-5)
    assert result.confidence == pytest.approx(sure.judgement.confidence.item(), abs=1e-3)
    assert [hit.generator is None for hit in result.hits] == [
        hit.probability is None for hit in result.hits
    ]


def test_a_result_that_is_not_sure_enough_is_no_match(inferencer, gallery):
    shown = inferencer.search(TEXT, gallery)
    sure = inferencer.search(TEXT, gallery, min_confidence=shown.confidence)
    assert (sure.hits, sure.no_match) == (shown.hits, False)
    hidden = inferencer.search(TEXT, gallery, min_confidence=shown.confidence + 1e-6)
    assert (hidden.hits, hidden.no_match, hidden.confidence) == ([], True, shown.confidence)


def test_what_is_said_stays():
    hit = Hit(1, 'a.mp4', 0.0, 1.0, 0.5, None, 0.5, None)
    said = replace(hit, rank=2, subtitle='a red circle')
    result = SearchResult(TEXT, [hit, said], confidence=0.4)
    assert hide_unsure(result, 0.5) == replace(result, hits=[said], no_match=True)
    assert hide_unsure(result, 0.4) is hide_unsure(result, None) is result


def test_a_sentence_minus_another_has_no_probability(inferencer, gallery):
    result = inferencer.search(TEXT, gallery, minus='a blue square')
    assert result.confidence is None
    assert all(hit.probability is None for hit in result.hits)
    with pytest.raises(ValueError, match='A sentence minus another has no confidence'):
        inferencer.search(TEXT, gallery, minus='a blue square', min_confidence=0.5)


def test_the_sentences_of_a_video_have_probabilities(inferencer, sure_clips):
    video = next(sure_clips.videos.rglob('*.mp4'))
    result = inferencer.match(video, ['a cat sits', 'it rains', TEXT])
    assert 0 < result.confidence < 1
    assert sum(hit.probability for hit in result.hits) == pytest.approx(1)
    assert [hit.rank for hit in sorted(result.hits, key=lambda hit: -hit.probability)] == [1, 2, 3]


def test_the_tool_says_that_there_is_no_match(search):
    shown = json.loads(search(TEXT, '--json', '--min-confidence', 0).out)
    assert (len(shown['hits']), shown['no_match']) == (6, False)
    hidden = json.loads(search(TEXT, '--json', '--min-confidence', 1).out)
    assert (hidden['hits'], hidden['no_match']) == ([], True)
    assert hidden['confidence'] == shown['confidence']
    assert (
        f'\nno match: confidence {shown["confidence"]:.3f}\n'
        in search(TEXT, '--min-confidence', 1).out
    )
    table = search(TEXT).out
    assert 'probability' in table
    assert f'\nconfidence {shown["confidence"]:.3f}\n' in table


def test_what_has_no_confidence_is_refused(search, indexed_clips, tmp_path, inferencer, gallery):
    failed = search(TEXT, '--min-confidence', 0.5, gallery=indexed_clips.gallery, status=2)
    assert 'no confidence: CalibrateHook has not calibrated it. Search without' in failed.err
    failed = search(TEXT, '--min-confidence', 1.5, status=2)
    assert 'from 0 to 1; got 1.5' in failed.err
    failed = search(TEXT, '--min-confidence', 'nan', status=2)
    assert 'from 0 to 1; got nan' in failed.err
    for other in (('--not', 'a blue square', TEXT), ('--video', 'clip.mp4')):
        failed = search(*other, '--min-confidence', 0.5, status=2)
        assert f'for sentences alone, and not with {other[0]}' in failed.err
    with pytest.raises(ValueError, match='the query is a video'):
        inferencer.search(tmp_path, gallery, min_confidence=0.5)


def test_other_retrievers_have_none(new_inferencer, tiny_model_cfg, gallery):
    model = {key: tiny_model_cfg[key] for key in ('backbone', 'similarity')}
    model |= dict(type='TextVideoRetriever', loss=dict(type='ContrastiveLoss'))
    plain = new_inferencer(model=model)
    with pytest.raises(
        ValueError, match='TextVideoRetriever has no confidence: that takes a second'
    ):
        plain.search(TEXT, gallery, min_confidence=0.5)
