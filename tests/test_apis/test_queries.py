"""Sentences, videos, images and files of sentences as queries, and filters of results."""

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from diffusionret_mm.apis import sentences
from diffusionret_mm.apis.sentences import read_sentences
from diffusionret_mm.commands import search as search_command
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.search import Gallery

pytest.importorskip('lance')
TEXT, OTHER = 'a red circle moves left', 'a blue square'


@pytest.fixture
def inferencer(indexed_clips):
    """The tiny model; its files are those of the gallery."""
    return indexed_clips.inferencer


@pytest.fixture
def gallery(indexed_clips):
    """A gallery of six clips."""
    return indexed_clips.gallery


@pytest.fixture
def videos(indexed_clips):
    """The folder of the clips."""
    return indexed_clips.videos


@pytest.fixture
def search(indexed_clips, run_tool):
    """A function that searches a gallery by the tool and returns what it printed."""

    def run(*arguments, status=0, gallery=indexed_clips.gallery):
        done = run_tool('search', gallery.folder, *arguments, '--device', 'cpu')
        assert done.status == status, done.err
        return done

    return run


def hits(done):
    return json.loads(done.out)['hits']


def names(done):
    return {Path(hit['video']).name for hit in hits(done)}


def test_a_sentence_minus_another(inferencer, gallery, search):
    found = hits(search(TEXT, '--not', OTHER, '--json'))
    videos = inferencer.encode_video([hit['video'] for hit in found])
    videos = videos.to(videos.frames.half()).to(videos.frames)
    texts = inferencer.encode_text([TEXT, OTHER])
    with torch.no_grad():
        one, other = inferencer.model.similarity(texts, videos)
    expected = one - other
    assert [hit['similarity'] for hit in found] == pytest.approx(expected.tolist(), abs=1e-3)
    reranked = [hit for hit in found if hit['generator'] is not None]
    assert len(reranked) == inferencer.model.num_candidates('t2v')
    for hit in found:
        assert hit['score'] == pytest.approx(hit['similarity'] + (hit['generator'] or 0), abs=1e-5)
    best = sorted(range(6), key=lambda place: -expected[place])[: len(reranked)]
    assert {found[place]['video'] for place in best} == {hit['video'] for hit in reranked}


def test_a_sentence_minus_itself_is_nothing(inferencer, gallery):
    result = inferencer.search(TEXT, gallery, minus=TEXT)
    assert [hit.similarity for hit in result.hits] == pytest.approx([0] * 6, abs=1e-6)


def test_only_a_sentence_has_one_subtracted(inferencer, gallery, search, videos):
    video = next(videos.rglob('*.mp4'))
    with pytest.raises(ValueError, match='subtracted from a sentence'):
        inferencer.search(video, gallery, minus=TEXT)
    assert '--not subtracts from a sentence' in search('--video', video, '--not', 'x', status=2).err


@pytest.fixture
def frame(videos, tmp_path):
    """A function that saves a frame of a clip as an image; returns its path and pixels."""

    def save(name):
        clip = next(videos.rglob('clip03.mp4'))
        with av.open(str(clip)) as container:
            image = [*container.decode(video=0)][4].to_ndarray(format='rgb24')
        Image.fromarray(image).save(tmp_path / name, quality=100)
        return tmp_path / name, image

    return save


def test_an_image_is_a_video_of_one_frame(inferencer, gallery, search, frame, tmp_path):
    image, pixels = frame('image.png')
    with av.open(str(tmp_path / 'same.mkv'), 'w') as container:
        stream = container.add_stream('ffv1', rate=1, width=64, height=48)
        stream.pix_fmt = 'bgr0'
        written = av.VideoFrame.from_ndarray(pixels, format='rgb24').reformat(format='bgr0')
        container.mux([*stream.encode(written), *stream.encode(None)])
    one, other = inferencer.encode_image(image), inferencer.encode_video(tmp_path / 'same.mkv')
    torch.testing.assert_close(one.frames[one.mask], other.frames[other.mask])
    result = inferencer.search_image(image, gallery)
    assert result.query == str(image)
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    found = hits(search('--image', image, '--json'))
    assert [hit['video'] for hit in found] == [hit.video for hit in result.hits]
    assert all(hit['generator'] is None for hit in found)


def test_images_are_turned_and_laid_on_white(inferencer, tmp_path):
    pixels = np.zeros((40, 20, 3), np.uint8)
    pixels[:20] = 200
    Image.fromarray(pixels).save(tmp_path / 'plain.png')
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels[::-1, ::-1]).save(tmp_path / 'turned.png', exif=exif)
    alpha = np.full((40, 20, 1), 255, np.uint8)
    alpha[5:9] = 0
    Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(tmp_path / 'hole.png')
    pixels[5:9] = 255
    Image.fromarray(pixels).save(tmp_path / 'white.png')
    plain, turned, hole, white = (
        inferencer.encode_image(tmp_path / f'{name}.png').frames
        for name in ('plain', 'turned', 'hole', 'white')
    )
    assert torch.equal(plain, turned)
    assert torch.equal(hole, white)
    assert not torch.equal(plain, white)


def test_what_is_no_image(inferencer, search, tmp_path):
    (tmp_path / 'text.png').write_text('text')
    for file, reason in (
        (tmp_path / 'text.png', 'cannot identify image file'),
        (tmp_path / 'none.png', 'it does not exist'),
    ):
        said = search('--image', file, status=2).err
        assert f'The image {file} cannot be read: ' in said
        assert reason in said
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / 'deep.png')
    with pytest.raises(VideoReadError, match='more than eight bits per channel'):
        inferencer.encode_image(tmp_path / 'deep.png')


def test_a_file_of_sentences(search, inferencer, gallery, tmp_path):
    file = tmp_path / 'queries.txt'
    file.write_text(f'\ufeff{TEXT}\r\n\n  {OTHER} \n', encoding='utf-8')
    found = json.loads(search('--queries', file, '--json', '--top-k', 2).out)
    assert [result['query'] for result in found] == [TEXT, OTHER]
    for result in found:
        alone = inferencer.search(result['query'], gallery, 2)
        assert [hit['video'] for hit in result['hits']] == [hit.video for hit in alone.hits]
    tables = search('--queries', file).out
    assert tables.index(TEXT) < tables.index(OTHER)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'a cat\ta dog\n', 'line 1 (it has a tab or another control character)'),
        (b'a cat\n' + 1001 * b'a', 'line 2 (it has 1,001 characters, more than 1,000)'),
        (b'clip.mp4\n' * 9, 'line 5 (it looks like the name of a video) and 4 more'),
        (b'a cat\n\xe2\x80\x8b\n\nclip.mp4\n', 'line 2 (it shows nothing), line 4 (it looks like'),
        (b'a cat\na d\xf6g\n', 'is not UTF-8 (line 2, byte 9'),
        (b'\n \n', 'holds no sentence'),
    ],
)
def test_bad_lines_are_named(tmp_path, content, reason):
    file = tmp_path / 'queries.txt'
    file.write_bytes(content)
    with pytest.raises(ValueError, match='queries.txt') as error:
        read_sentences(file)
    assert reason in str(error.value)


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(sentences, 'MOST_BYTES', 3)
    (tmp_path / 'queries.txt').write_text('a cat')
    with pytest.raises(ValueError, match='a file of sentences has at most'):
        read_sentences(tmp_path / 'queries.txt')


def test_what_can_be_known_is_said_before_a_model_is_loaded(search, tmp_path, monkeypatch):
    monkeypatch.delattr(search_command, 'build_inferencer')
    (tmp_path / 'text.png').write_text('no picture')
    (tmp_path / 'text.mp4').write_text('no video')
    (tmp_path / 'queries.txt').write_text('clip.mp4')
    for options, said in (
        (('--queries', tmp_path / 'queries.txt'), 'line 1 (it looks like the name of a video)'),
        (('--queries', tmp_path / 'none.txt'), 'There is no file of queries'),
        (('--image', tmp_path / 'text.png'), 'cannot identify image file'),
        (('--video', tmp_path / 'text.mp4'), 'text.mp4 cannot be read: '),
        (('--video', tmp_path / 'none.mp4'), 'it does not exist'),
        (('clip.mp4',), 'looks like a file'),
        ((TEXT, '--not', ' '), 'is empty'),
        ((TEXT, '--from', 'monday'), 'a date is wanted'),
        ((TEXT, '--within', '/nowhere'), 'the gallery has nothing there'),
        ((TEXT, '--where', 'colour = 3'), 'No field named colour'),
        ((TEXT, '--top-k', 0), 'top_k must be at least 1'),
        ((TEXT, '--export', tmp_path / 'text.png'), 'exists already, as something else'),
        ((TEXT, '--export', tmp_path / 'text.png/clips'), 'lies below a file'),
    ):
        assert said in search(*options, status=2).err


def test_a_file_of_sentences_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='There is no file of queries'):
        read_sentences(tmp_path / 'none.txt')


def test_one_query_is_wanted(search):
    assert 'got none of them' in search(status=2).err
    assert 'got a sentence and --image' in search(TEXT, '--image', 'x.png', status=2).err
    assert search('--top-k', 1, TEXT, '--json').status == 0  # in any order


def test_low_scores_are_left_out(search):
    scores = [hit['score'] for hit in hits(search(TEXT, '--json'))]
    middle = (scores[2] + scores[3]) / 2
    kept = [hit['score'] for hit in hits(search(TEXT, '--json', '--min-score', middle))]
    assert kept == scores[:3]
    assert search(TEXT, '--min-score', 1000).out.count('mp4') == 0


def test_files_below_a_folder(search, videos, monkeypatch):
    assert names(search(TEXT, '--json', '--within', videos / '1')) == {'clip01.mp4', 'clip04.mp4'}
    monkeypatch.chdir(videos)
    assert names(search(TEXT, '--json', '--within', '2/')) == {'clip02.mp4', 'clip05.mp4'}
    for whole in (videos, videos.parent, '/'):
        assert len(names(search(TEXT, '--json', '--within', whole))) == 6
    assert names(search(TEXT, '--json', '--within', videos / "it's 100%")) == set()
    said = search(TEXT, '--within', videos.parent / 'video', status=2).err
    assert f'the gallery has nothing there; its folders are {videos}.' in said


def test_dates_of_files(search, inferencer, clips, tmp_path):
    noon = {'clip00.mp4': 1_600_000_000, 'clip01.mp4': 1_600_086_400}  # 13 and 14 September 2020
    gallery = inferencer.index(clips(6), tmp_path / 'gallery')
    for path in (tmp_path / 'videos').rglob('*.mp4'):
        if path.name in noon:
            os.utime(path, (0, noon[path.name]))
    inferencer.index(tmp_path / 'videos', gallery.folder)

    def found(*options):
        return names(search(TEXT, '--json', *options, gallery=gallery))

    assert found('--to', '2020-09-13') == {'clip00.mp4'}
    assert found('--from', '2020-09-14', '--to', '2020-09-14') == {'clip01.mp4'}
    assert found('--to', '2020-09-14', '--within', tmp_path / 'videos/1') == {'clip01.mp4'}
    assert found('--to', '2020-09-14', '--where', "path LIKE '0/%' OR end > 1000") == {'clip00.mp4'}
    assert found('--to', '2020-09-13T12:26:39+00:00') == set()
    assert found('--to', '2020-09-13T12:26:41+00:00') == {'clip00.mp4'}
    assert len(found('--from', '2020-09-15')) == 4
    for option in ('--from', '--to'):
        assert f'{option} monday: a date is wanted' in search(TEXT, option, 'monday', status=2).err


def test_the_gallery_is_not_changed_by_searches(search, gallery):
    version = Gallery(gallery.folder).latest().version
    search(TEXT, '--not', OTHER)
    assert Gallery(gallery.folder).latest().version == version
