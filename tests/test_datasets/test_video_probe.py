import av
import pytest

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_probe import probe_video


def test_what_a_file_holds(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    info = probe_video(path)
    assert (info.decoder, info.frames, info.width, info.height) == ('pyav', 24, 64, 48)
    assert info.fps == pytest.approx(10)
    assert info.duration == pytest.approx(2.4)
    assert info.broken_tail == ''


def test_no_video(tmp_path):
    path = tmp_path / 'clip.mp4'
    path.touch()
    with pytest.raises(VideoReadError, match='empty'):
        probe_video(path)
    path.write_bytes(b'no video' * 100)
    with pytest.raises(VideoReadError, match='InvalidDataError'):
        probe_video(path)


def test_a_file_without_its_end(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4')
    path.write_bytes(path.read_bytes()[:-600])  # the header is at the end
    with pytest.raises(VideoReadError, match='no stream of pictures'):
        probe_video(path)


def test_a_tail_of_zeros(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    with av.open(str(path)) as container:
        positions = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for position, size in positions[20:]:
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    info = probe_video(path)
    assert info.frames == 20
    assert info.broken_tail == 'its last frames cannot be decoded: 20 of 24 can'


def test_a_file_cut_off_while_it_was_fetched(tmp_path, write_clip):
    whole = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    path = tmp_path / 'cut.mp4'
    with (
        av.open(str(whole)) as source,
        av.open(str(path), 'w', options={'movflags': 'faststart'}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert probe_video(path).broken_tail == ''
    with av.open(str(path)) as container:
        position = [packet.pos for packet in container.demux(video=0) if packet.size][16]
    path.write_bytes(path.read_bytes()[:position])
    info = probe_video(path)
    assert info.frames == 16
    assert info.broken_tail == 'its header promises 24 frames, 16 are there'
