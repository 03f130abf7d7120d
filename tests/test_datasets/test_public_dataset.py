import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets import public_dataset, text_video
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.manifest import Manifest, VideoRecord
from diffusionret_mm.storage.fingerprint import sha256_of


def cfg_of(root, **kwargs):
    return dict(type='MSVDDataset', data_root=str(root), ann_file='train_list.txt', **kwargs)


@pytest.fixture
def logged(monkeypatch):
    lines = []
    for module in (public_dataset, text_video):
        monkeypatch.setattr(module, 'print_log', lambda text, *a, **k: lines.append((text, k)))
    return lines


def test_what_is_left_out_is_logged_as_a_warning(official, logged):
    DATASETS.build(cfg_of(official('msvd')))
    text, options = logged[1]
    assert text.endswith('train_list.txt: 1 videos without a caption are left out: no_text_1_2')
    assert options == dict(level=30)


def test_videos_elsewhere_and_twice(official, logged, tmp_path):
    root = official('msvd')
    (root / 'videos').rename(tmp_path / 'clips')
    with pytest.raises(FileNotFoundError, match='videos does not exist; set data_root or videos'):
        DATASETS.build(cfg_of(root))
    (tmp_path / 'clips/zz9_0_4.mp4').touch()
    dataset = DATASETS.build(cfg_of(root, videos=str(tmp_path / 'clips')))
    assert dataset.get_data_info(3)['filename'] == str(tmp_path / 'clips/zz9_0_4.mp4')
    assert '1 names in' in logged[-1][0]
    assert 'and not ' + str(tmp_path / 'clips/YouTubeClips/zz9_0_4.avi') in logged[-1][0]


def test_a_missing_video_is_named_by_its_id_and_the_folder(official, logged):
    root = official('msvd')
    (root / 'videos/YouTubeClips/zz9_0_4.avi').unlink()
    message = r'1 of 4 videos of .*train_list.txt are missing: zz9_0_4 \(searched in .*/videos\)'
    with pytest.raises(FileNotFoundError, match=message):
        DATASETS.build(cfg_of(root))
    dataset = DATASETS.build(cfg_of(root, bad_videos='skip'))
    assert len(dataset) == 3
    assert 'zz9_0_4' in logged[-1][0]
    for path in (root / 'videos/YouTubeClips').iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match='4 of 4 videos'):
        DATASETS.build(cfg_of(root, bad_videos='skip'))


def test_annotation_files(official):
    root = official('msvd')
    dataset = DATASETS.build(cfg_of(root, lazy_init=True))
    names = [path.name for path in dataset.annotation_files]
    assert names == ['train_list.txt', 'raw-captions.pkl']
    assert len(dataset.read_entries()) == 4


@pytest.fixture
def manifest():
    """A function that writes what was prepared of `root`: one video is missing."""

    def write(root):
        ids = ('-4wsuPCjDBc_5_15', 'Ab_c_1_9', '_0nX-El-ySo_83_93')
        videos = {key: VideoRecord('ok', path=f'YouTubeClips/{key}.avi') for key in ids}
        names = ('train_list.txt', 'raw-captions.pkl')
        Manifest(
            dataset='msvd',
            video_folder=root / 'videos',
            annotations={name: sha256_of(root / name) for name in names},
            videos=videos | {'zz9_0_4': VideoRecord('missing')},
        ).save(root / 'manifest.json')
        return cfg_of(root, manifest='manifest.json')

    return write


def test_a_manifest_says_where_the_videos_are(official, manifest, logged, monkeypatch):
    root = official('msvd')
    cfg = manifest(root)
    monkeypatch.delattr(public_dataset, 'VideoFiles')  # nothing is searched
    dataset = DATASETS.build(cfg | dict(bad_videos='skip'))
    assert len(dataset) == 3
    assert dataset.get_data_info(1)['filename'] == str(root / 'videos/YouTubeClips/Ab_c_1_9.avi')
    message = r'zz9_0_4 \(searched in the readable videos of .*manifest\.json\)'
    with pytest.raises(FileNotFoundError, match=message):
        DATASETS.build(cfg)


def test_a_manifest_of_other_annotation_files(official, manifest, logged):
    root = official('msvd')
    cfg = manifest(root)
    (root / 'train_list.txt').write_text('zz9_0_4')
    with pytest.raises(AnnotationError, match='train_list.txt has changed since'):
        DATASETS.build(cfg)
