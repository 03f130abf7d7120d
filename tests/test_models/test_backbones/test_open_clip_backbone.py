import open_clip
import pytest
import torch
from mmaction.registry import MODELS
from open_clip.transformer import QuickGELU

from diffusionret_mm.datasets.tokenizers import load_tokenizer
from diffusionret_mm.models.backbones import OpenCLIPBackbone, open_clip_backbone
from diffusionret_mm.models.backbones.weights import load_weights
from diffusionret_mm.passport import UnsupportedEncoderError

tokenize = load_tokenizer().tokenize

ARCH = dict(
    embed_dim=64,
    vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=64),
    text_cfg=dict(context_length=16, width=16, heads=1, layers=2),
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


@pytest.fixture(params=[1, 2])
def num_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures('num_threads')
def test_a_cpu_encodes_few_images_at_a_time(backbone, monkeypatch):
    monkeypatch.setattr(open_clip_backbone, 'CPU_PIXELS', 3 * 32 * 32)
    counts = []
    backbone.clip.visual.register_forward_pre_hook(lambda _, args: counts.append(len(args[0])))
    frames, mask = torch.randn(2, 4, 3, 32, 32), torch.ones(2, 4, dtype=torch.bool)
    whole = backbone.encode_frames(frames, mask)
    assert counts == [8]  # with gradient
    with torch.no_grad():
        parts = backbone.encode_frames(frames, mask)
    assert sorted(counts[1:]) == [2, 3, 3]
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize('arch', ['roberta-ViT-B-32', 'nllb-clip-base', 'mt5-base-ViT-B-32'])
def test_a_text_tower_of_another_library_is_refused_before_anything_is_fetched(arch):
    with pytest.raises(UnsupportedEncoderError, match='of the transformers library'):
        MODELS.build(dict(type='OpenCLIPBackbone', arch=arch))


class TestPatches:
    TIMM = dict(timm_model_name='vit_tiny_patch16_224', timm_pool='token', timm_proj='linear')
    RESNET = dict(image_size=64, layers=[1, 1, 1, 1], width=32)

    def build(self, vision=None, **options):
        arch = ARCH if vision is None else dict(ARCH, vision_cfg=vision)
        return MODELS.build(dict(type='OpenCLIPBackbone', arch=arch, **options))

    def test_the_convolution_is_frozen_unless_asked(self, backbone):
        assert not backbone.clip.visual.conv1.weight.requires_grad
        free = self.build(freeze_patch_embedding=False)
        assert free.clip.visual.conv1.weight.requires_grad

    def test_that_of_timm_is_frozen(self):
        model = self.build(self.TIMM)
        frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
        assert frozen == [f'clip.visual.trunk.patch_embed.proj.{x}' for x in ('weight', 'bias')]

    def test_a_resnet_has_none(self):
        model = self.build(self.RESNET)
        assert all(p.requires_grad for p in model.parameters())
        with pytest.raises(ValueError, match='no convolution that cuts patches'):
            self.build(self.RESNET, freeze_patch_embedding=True)

    def test_positions(self):
        positions = self.build(self.TIMM, patch_position_std=3.0).clip.visual.trunk.pos_embed
        assert positions.std().item() == pytest.approx(3.0, rel=0.1)
        with pytest.raises(ValueError, match='no learned positions of patches'):
            self.build(self.RESNET, patch_position_std=3.0)

    def test_frames_of_another_size_are_refused(self):
        for model, size in ((self.build(), 48), (self.build(self.RESNET), 96)):
            with pytest.raises(ValueError, match=f'{size} x {size} pixels, but .* reads'):
                model.encode_frames(torch.zeros(1, 1, 3, size, size), torch.ones(1, 1) > 0)

    @pytest.mark.parametrize(
        'vision', [RESNET, dict(TIMM, timm_model_name='resnet10t', timm_pool='avg')]
    )
    def test_batch_norm_keeps_frames_apart_in_training(self, vision):
        frames = torch.rand(2, 3, 3, *([64, 64] if 'width' in vision else [224, 224]))
        mask = torch.ones(2, 3, dtype=torch.bool)

        def difference(model):
            whole = model.train().encode_frames(frames, mask)
            return (whole[1:] - model.encode_frames(frames[1:], mask[1:])).abs().max().item()

        assert difference(self.build(vision)) < 1e-5
        assert difference(self.build(vision, norm_eval=False)) > 1e-3


def test_a_text_does_not_depend_on_the_others_of_its_batch():
    for text in ({}, dict(pool_type='last', no_causal_mask=True), dict(embed_cls=True)):
        torch.manual_seed(0)
        arch = dict(ARCH, text_cfg=dict(ARCH['text_cfg'], **text))
        model = MODELS.build(dict(type='OpenCLIPBackbone', arch=arch)).train()
        ids, mask = model.text_side.tokenize(['a red circle', 'two dogs run over a field'], 16)
        for both, alone in zip(
            model.encode_words(ids, mask), model.encode_words(ids[:1], mask[:1]), strict=True
        ):
            torch.testing.assert_close(both[:1], alone)


def test_texts_must_fill_the_context_where_padding_is_read():
    arch = dict(ARCH, text_cfg=dict(ARCH['text_cfg'], pool_type='last', no_causal_mask=True))
    model = MODELS.build(dict(type='OpenCLIPBackbone', arch=arch))
    ids, mask = model.text_side.tokenize(['a red circle'], 8)
    assert ids.shape == (1, 16)
    assert mask.sum() == 5
    with pytest.raises(ValueError, match='padded to its context of 16 tokens; got 8'):
        model.encode_words(ids[:, :8], mask[:, :8])


def test_a_vocabulary_that_is_too_small_is_refused():
    arch = dict(ARCH, text_cfg=dict(ARCH['text_cfg'], vocab_size=1000))
    model = MODELS.build(dict(type='OpenCLIPBackbone', arch=arch))
    with pytest.raises(ValueError, match='the text tower knows 1,000'):
        model.text_side.tokenize(['a red circle'], 8)


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

    def test_weights_of_a_compiled_model(self, tmp_path):
        source = open_clip.CLIP(**ARCH)
        path = tmp_path / 'clip.pt'
        torch.save({f'_orig_mod.{key}': value for key, value in source.state_dict().items()}, path)
        model = self.build(str(path))
        model.init_weights()
        torch.testing.assert_close(model.clip.text_projection, source.text_projection)

    def test_a_file_of_another_size_is_refused(self, tmp_path):
        arch = dict(ARCH, vision_cfg=dict(ARCH['vision_cfg'], width=128))
        path = tmp_path / 'other.pt'
        torch.save(open_clip.CLIP(**arch).state_dict(), path)
        with pytest.raises(RuntimeError, match='other.pt does not hold weights for'):
            self.build(str(path)).init_weights()

    def test_the_activation_is_that_of_the_weights(self):
        def quick_gelu(arch, **options):
            return OpenCLIPBackbone.read_passport(dict(arch=arch, **options)).quick_gelu

        assert quick_gelu('ViT-B-32', pretrained='openai')
        assert not quick_gelu('ViT-B-32', pretrained='laion2b_s34b_b79k')
        assert not quick_gelu('ViT-B-32')
        assert quick_gelu('ViT-B-32-quickgelu')
        assert not quick_gelu('ViT-B-32', pretrained='openai', quick_gelu=False)
        model = MODELS.build(dict(type='OpenCLIPBackbone', arch='ViT-B-32', pretrained='openai'))
        assert isinstance(model.clip.visual.transformer.resblocks[0].mlp.gelu, QuickGELU)

    def test_a_file_whose_preprocessing_is_open_is_refused(self, tmp_path):
        path = tmp_path / 'weights.pt'
        path.touch()
        config = dict(arch='ViT-L-14', pretrained=str(path))
        with pytest.raises(ValueError, match='say by model.backbone.tag which of them'):
            OpenCLIPBackbone.read_passport(config)
        passport = OpenCLIPBackbone.read_passport(dict(config, tag='laion2b_s32b_b82k'))
        assert passport.mean == (0.5, 0.5, 0.5)

    def test_the_decoder_of_a_coca_is_passed_over(self, tmp_path):
        arch = dict(ARCH, multimodal_cfg=dict(layers=1))
        source = MODELS.build(dict(type='OpenCLIPBackbone', arch=arch)).clip
        state = source.state_dict() | {'text_decoder.ln_final.weight': torch.ones(3)}
        torch.save(state, tmp_path / 'coca.pt')
        load_weights(source, arch, str(tmp_path / 'coca.pt'))
        del state['logit_scale']
        torch.save(state, tmp_path / 'coca.pt')
        with pytest.raises(RuntimeError, match="missing: .'logit_scale'"):
            load_weights(source, arch, str(tmp_path / 'coca.pt'))

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
        with pytest.raises(RuntimeError, match='model.backbone.pretrained=FILE'):
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
