"""Encoding and searching: what the inferencer finds is what an evaluation would rank."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.export import ExportError
from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.search import GalleryError

pytest.importorskip('lance')

TEXTS = ['a cat sits', 'a red circle moves left', 'dogs', 'the sky turns dark and it rains']


def paths_in(folder):
    return sorted(map(str, folder.rglob('*.mp4')))


def scores_of(result):
    return {hit.video: (hit.similarity, hit.score) for hit in result.hits}


def test_a_search_ranks_as_an_evaluation_does(new_inferencer, unlike_clips, tmp_path):
    inferencer, folder = new_inferencer(), unlike_clips(9)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    paths = paths_in(folder)
    assert gallery.paths() == paths
    texts, videos = inferencer.encode_text(TEXTS), inferencer.encode_video(paths)
    kept = videos.to(torch.float16).to(torch.float32)
    similarity = inferencer.model.similarity(texts, kept)
    for row, text in enumerate(TEXTS):
        one = similarity[row : row + 1]
        final = inferencer.model.rerank_queries(
            't2v', one, texts[row : row + 1], kept, torch.zeros(1, dtype=torch.int64)
        )[0]
        result = inferencer(text, gallery, top_k=9)
        assert [hit.rank for hit in result.hits] == list(range(1, 10))
        for hit in result.hits:
            column = paths.index(hit.video)
            assert hit.similarity == pytest.approx(float(one[0, column]), abs=1e-5)
            assert hit.score == pytest.approx(float(final[column]), abs=1e-5)
            assert hit.score == pytest.approx(hit.similarity + (hit.generator or 0), abs=1e-5)
        scores = [hit.score for hit in result.hits]
        assert scores == sorted(scores, reverse=True)
        assert len(inferencer.search(text, gallery, top_k=2).hits) == 2
        assert set(result.seconds) == {'pooled', 'similarity', 'generator'}


def test_batches_and_workers_change_nothing(new_inferencer, unlike_clips, tmp_path):
    folder = unlike_clips(7)
    one = new_inferencer(batch_size=1, num_workers=1)
    many = new_inferencer(batch_size=4, num_workers=3)
    galleries = [one.index(folder, tmp_path / 'one'), many.index(folder, tmp_path / 'many')]
    results = many.search_batch(TEXTS, galleries[1], top_k=7)
    for text, result in zip(TEXTS, results, strict=True):
        alone = one.search(text, galleries[0], top_k=7)
        assert [hit.video for hit in alone.hits] == [hit.video for hit in result.hits]
        for path, values in scores_of(alone).items():
            assert values == pytest.approx(scores_of(result)[path], abs=1e-4)


def test_a_retriever_without_generator(new_inferencer, tiny_model_cfg, clips, tmp_path):
    model = {key: tiny_model_cfg[key] for key in ('backbone', 'temporal')}
    model |= dict(
        type='TextVideoRetriever',
        similarity=dict(type='CosineSimilarity'),
        loss=dict(type='ContrastiveLoss'),
    )
    inferencer, folder = new_inferencer(model=model), clips(5)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    result = inferencer.search(TEXTS[1], gallery)
    texts, videos = inferencer.encode_text(TEXTS[1]), inferencer.encode_video(paths_in(folder))
    wanted = inferencer.model.similarity(texts, videos)[0].sort(descending=True).values
    assert [hit.similarity for hit in result.hits] == pytest.approx(wanted.tolist(), abs=1e-3)
    assert {hit.generator for hit in result.hits} == {None}
    assert [hit.score for hit in result.hits] == [hit.similarity for hit in result.hits]
    assert len(inferencer.match(paths_in(folder)[0], TEXTS).hits) == 4


def test_a_video_finds_itself_and_its_like(new_inferencer, clips, tmp_path):
    inferencer, folder = new_inferencer(), clips(6)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    query = Path(paths_in(folder)[3])
    result = inferencer.search(query, gallery)
    assert result.hits[0].video == str(query)
    assert result.hits[0].similarity == pytest.approx(1, abs=1e-3)
    assert len(result.hits) == 6
    assert {hit.generator for hit in result.hits} == {None}


def test_sentences_of_a_video(new_inferencer, clips):
    inferencer, folder = new_inferencer(), clips(1)
    video = paths_in(folder)[0]
    result = inferencer.match(video, TEXTS, top_k=4)
    texts, videos = inferencer.encode_text(TEXTS), inferencer.encode_video(video)
    scores = inferencer.model.similarity(texts, videos).t()
    index = torch.zeros(1, dtype=torch.int64)
    final = inferencer.model.rerank_queries('v2t', scores, videos, texts, index)[0]
    assert {hit.item for hit in result.hits} == {*TEXTS}
    for hit in result.hits:
        assert hit.score == pytest.approx(float(final[TEXTS.index(hit.item)]), abs=1e-5)


def test_bad_queries(new_inferencer, clips, tmp_path):
    inferencer, folder = new_inferencer(), clips(1)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    with pytest.raises(ValueError, match='Caption 0 is empty'):
        inferencer.search('  ', gallery)
    with pytest.raises(ValueError, match='top_k must be at least 1'):
        inferencer.search('a cat', gallery, top_k=0)
    with pytest.raises(ValueError, match='looks like a file'):
        inferencer.search('videos/clip.mp4', gallery)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        inferencer.search(Path('none.mp4'), gallery)
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    with pytest.raises(VideoReadError, match='broken.mp4'):
        inferencer.search(broken, gallery)
    with pytest.raises(GalleryError, match='holds no gallery'):
        inferencer.search('a cat', tmp_path / 'none')


def test_another_model_is_refused(new_inferencer, clips, tmp_path):
    folder = clips(1)
    gallery = new_inferencer().index(folder, tmp_path / 'gallery')
    other = new_inferencer(seed=1)
    with pytest.raises(GalleryError, match='other weights'):
        other.search('a cat', gallery)
    with pytest.raises(GalleryError, match='other weights'):
        other.index(folder, tmp_path / 'gallery')


def test_bad_models(tmp_path, new_inferencer, tiny_model_cfg):
    with pytest.raises(FileNotFoundError, match='There is no config none.py'):
        TextVideoInferencer('none.py', 'none.pth')
    with pytest.raises(ValueError, match=r'no test_dataloader\.dataset\.pipeline'):
        TextVideoInferencer(Config(dict(model=tiny_model_cfg)), 'none.pth')
    with pytest.raises(ValueError, match='no TokenizeCaptions'):
        new_inferencer(pipeline=[dict(type='PackTextVideoInputs')])
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        new_inferencer(batch_size=0)
    inferencer = new_inferencer()
    torch.save({}, tmp_path / 'empty.pth')
    with pytest.raises((CheckpointError, RuntimeError), match='generator weights'):
        TextVideoInferencer(inferencer.cfg, tmp_path / 'empty.pth')


class Encoders:
    """Stands for `OnnxEncoders`, whose export and run have tests of their own."""

    def __init__(self, model, weights):
        self.model, self.facts, self.calls = model, SimpleNamespace(weights=weights), []

    def encode_text(self, ids, mask):
        self.calls.append('text')
        return self.model.encode_text(ids, mask)

    def encode_video(self, frames, mask):
        self.calls.append('video')
        return self.model.encode_video(frames, mask)


def test_onnx_encoders_take_the_place_of_the_model(new_inferencer, clips, tmp_path, monkeypatch):
    inferencer, folder = new_inferencer(), clips(3)
    encoders = Encoders(inferencer.model, inferencer.fingerprint['weights'])
    monkeypatch.setattr('diffusionret_mm.apis.encoder.OnnxEncoders', lambda folder: encoders)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    wanted = inferencer.search(TEXTS[1], gallery)
    assert encoders.calls == []
    onnx = new_inferencer(onnx=tmp_path)
    assert onnx.search(TEXTS[1], gallery).hits == wanted.hits
    assert len(onnx.index(folder, tmp_path / 'other')) == 3
    assert encoders.calls == ['text', 'video']
    with pytest.raises(ExportError, match='another checkpoint'):
        new_inferencer(seed=1, onnx=tmp_path)
