"""What is said before weights are downloaded."""

from types import SimpleNamespace

import pytest

from diffusionret_mm.models.backbones import downloads, weights
from diffusionret_mm.models.backbones.downloads import describe_download
from diffusionret_mm.models.backbones.weights import find_weights
from diffusionret_mm.storage import hub as storage_hub
from diffusionret_mm.storage.hub import HubError


@pytest.fixture
def hub(monkeypatch):
    """Sizes of the files of a hub, by name; it has no others."""
    sizes = {}

    def metadata(url, **kwargs):
        return SimpleNamespace(size=sizes.get(url.rpartition('/')[2]))

    monkeypatch.setattr(storage_hub, 'get_hf_file_metadata', metadata)
    return sizes


def test_the_hub_says_how_large_a_file_is(hub, tmp_path):
    hub['open_clip_model.safetensors'] = 1_793_000_000
    told = describe_download('PE-Core-B-16', 'meta', 5, str(tmp_path))
    assert told == (
        "The weights 'meta' of 'PE-Core-B-16' are downloaded from timm/PE-Core-B-16 (1,793 MB) to "
        f'{tmp_path}.'
    )


def test_a_size_that_the_hub_does_not_tell_is_computed(hub):
    told = describe_download('PE-Core-B-16', 'meta', 448_000_000)
    assert 'about 1,792 MB, computed from its parameters in single precision' in told
    assert 'huggingface' in told  # the hub's own folder


def test_what_is_there_is_not_announced(hub, tmp_path):
    repository = tmp_path / 'models--timm--PE-Core-B-16'
    (repository / 'refs').mkdir(parents=True)
    (repository / 'refs/main').write_text('abc')
    (repository / 'snapshots/abc').mkdir(parents=True)
    assert describe_download('PE-Core-B-16', 'meta', 5, str(tmp_path)) is not None
    (repository / 'snapshots/abc/open_clip_model.safetensors').touch()
    assert describe_download('PE-Core-B-16', 'meta', 5, str(tmp_path)) is None


def test_weights_of_an_address(hub, tmp_path, monkeypatch):
    source = dict(url='https://host/of/weights.pt')
    monkeypatch.setattr(downloads.open_clip, 'get_pretrained_cfg', lambda arch, tag: source)
    told = describe_download('RN50', 'mine', 100_000_000, str(tmp_path))
    assert "'mine' of 'RN50' are downloaded from https://host/of/weights.pt (about 400 MB" in told
    (tmp_path / 'weights.pt').touch()
    assert describe_download('RN50', 'mine', 100_000_000, str(tmp_path)) is None


def test_without_a_network_no_download_is_tried(monkeypatch):
    def refuse(*arguments):
        raise HubError('https://huggingface.co cannot be reached')

    monkeypatch.setattr(downloads, 'size_on_hub', refuse)
    monkeypatch.delattr(weights.open_clip, 'download_pretrained')
    said = 'could not be downloaded .HubError: https.* give its path: --backbone PE-Core-B-16:FILE'
    with pytest.raises(RuntimeError, match=said):
        find_weights('PE-Core-B-16', 'meta', '/none', 5)


def test_a_file_with_a_name_of_its_own(hub):
    hub['ViT-B-16-SigLIP2.bin'] = 3
    assert downloads._file_names('ViT-B-16-SigLIP2.bin') == [
        'ViT-B-16-SigLIP2.safetensors',
        'ViT-B-16-SigLIP2.bin',
    ]
