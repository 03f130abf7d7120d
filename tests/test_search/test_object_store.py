"""A gallery in an object store: moto's S3 server, on this machine."""

from pathlib import Path

import numpy as np
import pytest
from processes import start_script

from diffusionret_mm.datasets.subtitles import Line
from diffusionret_mm.search import Gallery, GalleryError, GalleryWriter, SubtitleWriter, maintain

pytest.importorskip('lance')
pytest.importorskip('flask')
server = pytest.importorskip('moto.server')

WRITER = Path(__file__).parents[1] / 'gallery_writer.py'


@pytest.fixture
def bucket(monkeypatch):
    """Address of a bucket; the environment says where the store is."""
    import boto3

    running = server.ThreadedMotoServer('127.0.0.1', 0, verbose=False)
    running.start()
    address = 'http://{}:{}'.format(*running.get_host_and_port())
    variables = dict(
        AWS_ENDPOINT_URL=address,
        AWS_ALLOW_HTTP='true',
        AWS_ACCESS_KEY_ID='a',
        AWS_SECRET_ACCESS_KEY='b',
        AWS_REGION='us-east-1',
    )
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    boto3.client('s3', region_name='us-east-1').create_bucket(Bucket='galleries')
    yield 's3://galleries'
    running.stop()


def test_three_processes_write_and_one_reads(new_gallery, bucket, tmp_path, monkeypatch):
    gallery, arrays = new_gallery(8, folder=f'{bucket}/one')
    output = tmp_path / 'output.txt'
    files = dict(stdout=output, stderr=output)
    tasks = ('append', 0), ('merge', 1), ('merge', 2)
    writers = [start_script(WRITER, gallery.folder, *task, 2, **files) for task in tasks]
    sizes = []
    while any(process.is_alive() for process in writers):
        snapshot = gallery.latest()
        sizes.append(len(snapshot))
        (found,) = snapshot.candidates(arrays['pooled'][:1], 1000)
        assert len(snapshot.read(found.rows, 'frames')['frames']) == len(snapshot)
    for process in writers:
        process.join(120)
        assert process.exitcode == 0, output.read_text()
    assert sizes == sorted(sizes)
    snapshot = Gallery(gallery.folder).latest()
    paths = snapshot.dataset.to_table(columns=['path'])['path'].to_pylist()
    assert len(paths) == len(set(paths)) == 8 + 2 * 8 + 32 + 64
    assert sorted(gallery.paths()) == sorted(f'/videos/{path}' for path in paths)


def test_subtitles_are_kept_and_searched(new_gallery, bucket, files):
    gallery, _ = new_gallery(2, folder=f'{bucket}/spoken')

    def say(text):
        with SubtitleWriter(gallery) as writer:
            for file in files('v0', 'v1'):
                writer.add(file, text, [Line(0, 1, f'{text} of {file.path}')])

    def said(sentence):
        return sorted(Gallery(gallery.folder).latest().matches(sentence, 9).texts)

    say('a harbour')
    maintain(gallery)
    say('a garden')
    assert (said('harbour'), len(said('garden'))) == ([], 2)
    maintain(gallery)
    GalleryWriter(gallery).remove([('videos', 'v0.mp4')])
    assert said('garden') == ['a garden of v1.mp4']


def test_a_gallery_is_removed_from_and_maintained(new_gallery, bucket):
    gallery, arrays = new_gallery(8, folder=f'{bucket}/two/')
    assert GalleryWriter(gallery).remove([('videos', 'v0.mp4')]) == 1
    maintain(gallery)
    snapshot = Gallery(f'{bucket}/two').latest()
    assert len(snapshot) == 7
    (found,) = snapshot.candidates(arrays['pooled'][:1], 10)
    pooled = snapshot.read(found.rows, 'pooled')['pooled']
    places = [int(span.path[9:-4]) for span in found.spans]
    assert sorted(places) == [*range(1, 8)]
    np.testing.assert_array_equal(pooled, arrays['pooled'][places])


def test_what_is_not_there_is_named(bucket):
    assert not Gallery.exists(f'{bucket}/none')
    with pytest.raises(GalleryError, match='s3://galleries/none holds no gallery'):
        Gallery(f'{bucket}/none')
    with pytest.raises(GalleryError, match=r's3://other/none/spans\.lance cannot be used'):
        Gallery('s3://other/none')
