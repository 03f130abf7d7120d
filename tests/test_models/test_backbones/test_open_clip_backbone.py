import open_clip
import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.datasets.transforms.captions import tokenize

ARCH = dict(
    embed_dim=64,
    vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=64),
    text_cfg=dict(context_length=16, width=64, heads=1, layers=2),
)


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return MODELS.build(dict(type='OpenCLIPBackbone', arch=ARCH)).eval()


def test_pooled_text_is_open_clips_own(backbone):
    ids, mask = tokenize(['a red circle', 'two dogs run over a green field'], 16)
    words, pooled = backbone.encode_words(ids, mask)
    assert words.shape == (2, 16, 64)
    torch.testing.assert_close(pooled, backbone.clip.encode_text(ids), rtol=1e-5, atol=1e-5)


def test_features_of_real_words_do_not_depend_on_padding(backbone):
    caption = ['a red circle']
    short, long = (backbone.encode_words(*tokenize(caption, length))[0] for length in (5, 16))
    torch.testing.assert_close(short, long[:, :5])


def test_padded_frames_are_encoded_as_empty_images(backbone):
    frames = torch.randn(2, 3, 3, 32, 32)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    frames[~mask] = 0
    encoded = backbone.encode_frames(frames, mask)
    expected = backbone.clip.encode_image(frames.flatten(0, 1)).unflatten(0, (2, 3))
    torch.testing.assert_close(encoded, expected, rtol=1e-5, atol=1e-5)


def test_texts_longer_than_the_context_are_refused(backbone):
    with pytest.raises(ValueError, match='context of 16'):
        backbone.encode_words(*tokenize(['a red circle'], 20))


def test_logit_scale_is_at_most_100(backbone):
    backbone.clip.logit_scale.data.fill_(9.0)
    assert backbone.logit_scale.item() == pytest.approx(100.0)


def test_unknown_architecture_names_similar_ones():
    with pytest.raises(ValueError, match='ViT-B-32'):
        MODELS.build(dict(type='OpenCLIPBackbone', arch='ViT-B-33'))


def test_a_tower_may_read_both_ways():
    arch = dict(ARCH, text_cfg=dict(ARCH['text_cfg'], no_causal_mask=True))
    torch.manual_seed(0)
    model = MODELS.build(dict(type='OpenCLIPBackbone', arch=arch)).eval()
    short, long = (model.encode_words(*tokenize(['a red circle'], n))[0] for n in (5, 16))
    torch.testing.assert_close(short, long[:, :5])
    other = model.encode_words(*tokenize(['a red square'], 5))[0]
    assert (other[:, 1] - short[:, 1]).abs().max() > 1e-3


def test_a_text_tower_of_another_library_is_refused(monkeypatch):
    monkeypatch.setattr(open_clip.CLIP, 'text', torch.nn.Identity(), raising=False)
    with pytest.raises(NotImplementedError, match='not the text transformer of open_clip'):
        MODELS.build(dict(type='OpenCLIPBackbone', arch=ARCH))


def test_published_patch_embedding_is_frozen_unless_asked(backbone):
    assert not backbone.clip.visual.conv1.weight.requires_grad
    free = MODELS.build(dict(type='OpenCLIPBackbone', arch=ARCH, freeze_patch_embedding=False))
    assert free.clip.visual.conv1.weight.requires_grad


class TestPretrained:
    def build(self, pretrained):
        return MODELS.build(dict(type='OpenCLIPBackbone', arch=ARCH, pretrained=pretrained))

    def test_weights_come_from_a_local_file(self, tmp_path):
        source = open_clip.CLIP(**ARCH)
        path = tmp_path / 'clip.pt'
        torch.save(source.state_dict(), path)
        model = self.build(str(path))
        assert not torch.equal(model.clip.text_projection, source.text_projection)
        model.init_weights()
        torch.testing.assert_close(model.clip.text_projection, source.text_projection)

    def test_a_file_of_another_size_is_refused(self, tmp_path):
        arch = dict(ARCH, vision_cfg=dict(ARCH['vision_cfg'], width=128))
        path = tmp_path / 'other.pt'
        torch.save(open_clip.CLIP(**arch).state_dict(), path)
        with pytest.raises(RuntimeError, match='other.pt does not hold weights for'):
            self.build(str(path)).init_weights()

    def test_neither_file_nor_tag(self):
        with pytest.raises(ValueError, match='neither an existing file nor a weight tag'):
            self.build('no/such/file.pt').init_weights()

    def test_failed_download_says_what_to_do(self, monkeypatch):
        def fail(*args, **kwargs):
            raise OSError('no network')

        monkeypatch.setattr(open_clip, 'download_pretrained', fail)
        model = MODELS.build(
            dict(type='OpenCLIPBackbone', arch='ViT-B-32-quickgelu', pretrained='openai')
        )
        with pytest.raises(RuntimeError, match='model.backbone.pretrained=/path/to/weights.pt'):
            model.init_weights()


def test_checkpointed_activations_give_the_same_gradients_from_less_memory():
    ids, mask = tokenize(['a red circle', 'two dogs run'], 16)
    frames = torch.randn(4, 3, 3, 32, 32)
    gradients, kept = [], []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = MODELS.build(dict(type='OpenCLIPBackbone', arch=ARCH, with_cp=with_cp)).train()
        sizes = []
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x
        )
        with hooks:
            words, _ = model.encode_words(ids, mask)
            encoded = model.encode_frames(frames, torch.ones(4, 3, dtype=torch.bool))
        (words.square().mean() + encoded.square().mean()).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
        kept.append(sum(sizes))
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(checkpointed, plain)
    assert kept[1] < kept[0] / 2
