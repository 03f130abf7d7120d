"""Published state dicts of every method, whole and damaged."""

from pathlib import Path

import open_clip
import pytest
import torch
from mmaction.registry import MODELS
from processes import run_script

from diffusionret_mm.conversion import LAYOUTS, ConversionError, convert_state_dict
from diffusionret_mm.models.checkpoint_check import CheckpointError

ROOT = Path(__file__).parents[2]
ARCH = dict(
    embed_dim=192,
    quick_gelu=True,
    vision_cfg=dict(image_size=48, patch_size=16, width=128, layers=3, head_width=64),
    text_cfg=dict(context_length=20, vocab_size=300, width=192, heads=3, layers=2),
)
BLOCK = ('attn.in_proj_weight', 'attn.in_proj_bias', 'attn.out_proj.weight', 'attn.out_proj.bias',
         'ln_1.weight', 'ln_1.bias', 'mlp.c_fc.weight', 'mlp.c_fc.bias', 'mlp.c_proj.weight',
         'mlp.c_proj.bias', 'ln_2.weight', 'ln_2.bias')  # fmt: skip


def clip_state(dtype=torch.float32):
    torch.manual_seed(0)
    return {key: value.to(dtype) for key, value in open_clip.CLIP(**ARCH).state_dict().items()}


def temporal_state(width=192, layers=2):
    shapes = dict.fromkeys(BLOCK, (width,))
    shapes.update(
        {
            'attn.in_proj_weight': (3 * width, width),
            'attn.in_proj_bias': (3 * width,),
            'attn.out_proj.weight': (width, width),
            'mlp.c_fc.weight': (4 * width, width),
            'mlp.c_fc.bias': (4 * width,),
            'mlp.c_proj.weight': (width, 4 * width),
        }
    )
    state = {'frame_position_embeddings.weight': torch.randn(20, width)}
    for layer in range(layers):
        for name, shape in shapes.items():
            state[f'transformerClip.resblocks.{layer}.{name}'] = torch.randn(shape)
    return state


def pair_transformer_state(width=192):
    state = {
        key.replace('transformerClip', 'cross.transformer'): value
        for key, value in temporal_state().items()
        if key.startswith('transformerClip')
    }
    shapes = {
        'cross.embeddings.position_embeddings.weight': (20, width),
        'cross.pooler.ln_pool.weight': (width,),
        'cross.pooler.ln_pool.bias': (width,),
        'cross.pooler.dense.weight': (width, width),
        'cross.pooler.dense.bias': (width,),
        'similarity_dense.weight': (1, width),
        'similarity_dense.bias': (1,),
    }
    return state | {key: torch.randn(shape) for key, shape in shapes.items()}


def token_weight_state(width=192, hidden=384, suffix=''):
    state = {}
    for modality in ('text', 'video'):
        prefix = f'{modality}_weight_fc{suffix}'
        state[f'{prefix}.0.weight'] = torch.randn(hidden, width)
        state[f'{prefix}.0.bias'] = torch.randn(hidden)
        state[f'{prefix}.2.weight'] = torch.randn(1, hidden)
        state[f'{prefix}.2.bias'] = torch.randn(1)
    return state


def generator_state(width=192):
    state = {}
    for name in ('diffusion_model', 'diffusion_model_v'):
        for projection in ('q_proj', 'k_proj', 'v_proj', 'proj'):
            state[f'{name}.{projection}.weight'] = torch.randn(width, width)
        state[f'{name}.proj.bias'] = torch.randn(width)
        for table in ('sequence_pos_encoder', 'embed_timestep.sequence_pos_encoder'):
            state[f'{name}.{table}.pe'] = torch.randn(50, 1, width)
        for layer in (0, 2):
            state[f'{name}.embed_timestep.time_embed.{layer}.weight'] = torch.randn(width, width)
            state[f'{name}.embed_timestep.time_embed.{layer}.bias'] = torch.randn(width)
        state[f'{name}.decoder.0.weight'] = torch.randn(2 * width, 2 * width)
        state[f'{name}.decoder.0.bias'] = torch.randn(2 * width)
        state[f'{name}.decoder.2.weight'] = torch.randn(1, 2 * width)
        state[f'{name}.decoder.2.bias'] = torch.randn(1)
    return state


def published(method, dtype=torch.float32):
    clip = clip_state(dtype)
    if method == 'clip':
        return clip | {'input_resolution': torch.tensor(48), 'vocab_size': torch.tensor(300)}
    state = {f'clip.{key}': value for key, value in clip.items()}
    if method == 'clip4clip_mean':
        return state
    if method == 'clip4clip_lstm':
        lstm = torch.nn.LSTM(192, 192).state_dict()
        table = {'frame_position_embeddings.weight': torch.randn(20, 192)}
        return state | table | {f'lstm_visual.{key}': value for key, value in lstm.items()}
    if method == 'tighttransf':
        return state | pair_transformer_state()
    state |= temporal_state()
    if method in ('diffusionret', 'diffusionret_stage_one', 'hbi'):
        state |= token_weight_state()
    if method == 'drl':
        state |= token_weight_state(hidden=192)
    if method == 'hbi':
        state |= token_weight_state(suffix='0') | token_weight_state(suffix='1')
        state |= {'v_ctm0.score.bias': torch.zeros(1), 'banzhafteacher.Q': torch.zeros(64, 64)}
    return state | generator_state() if method == 'diffusionret' else state


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.parametrize(
    'name',
    ['diffusionret', 'diffusionret_stage_one', 'clip4clip', 'clip4clip_mean', 'clip4clip_lstm',
     'tighttransf', 'emcl', 'drl', 'hbi'],
)  # fmt: skip
def test_every_layout_loads_into_the_model_it_names(name, dtype):
    state = published(name, dtype)
    done = convert_state_dict(state, name.split('_')[0])
    assert set(done.renamed) | set(done.dropped) == set(state)
    assert all(value.dtype == torch.float32 for value in done.state_dict.values())
    if done.stage:
        assert done.stage == ('generation' if name == 'diffusionret' else 'discrimination')
        done.model['stage'] = done.stage
    model = MODELS.build(done.model)
    model.load_state_dict(done.state_dict, strict=done.stage != 'discrimination')
    own = model.state_dict()
    for key, ours in done.renamed.items():
        assert torch.equal(own[ours], state[key].float())


def test_sizes_are_read_off_the_tensors():
    model = convert_state_dict(published('diffusionret')).model
    assert model['backbone']['arch'] == ARCH
    assert model['temporal']['num_layers'] == 2
    assert model['temporal']['max_frames'] == 20
    assert convert_state_dict(published('drl'), 'drl').model['similarity']['hidden_width'] == 192


def test_openai_clip():
    done = convert_state_dict(published('clip', torch.float16), 'clip')
    assert done.model == ARCH
    open_clip.CLIP(**done.model).load_state_dict(done.state_dict)
    assert set(done.dropped) == {'input_resolution', 'vocab_size'}


def test_what_was_not_saved_has_a_seeded_start_value():
    first, second = (
        convert_state_dict(published('emcl'), 'emcl').state_dict['similarity.bases']
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert first.abs().allclose(torch.ones(1), atol=1e-3)


class TestDamage:
    def convert(self, change, **options):
        state = published('diffusionret')
        change(state)
        with pytest.raises(ConversionError) as caught:
            convert_state_dict(state, **options)
        return str(caught.value)

    def test_renamed(self):
        def change(state):
            state['diffusion_model.proj.bias_'] = state.pop('diffusion_model.proj.bias')

        message = self.convert(change)
        assert '1 missing:\n  diffusion_model.proj.bias\n' in message
        assert '1 unknown:\n  diffusion_model.proj.bias_' in message

    def test_dropped(self):
        message = self.convert(lambda state: state.pop('transformerClip.resblocks.1.ln_2.bias'))
        assert '1 missing:\n  transformerClip.resblocks.1.ln_2.bias' in message
        assert 'unknown' not in message

    @pytest.mark.parametrize(
        ('key', 'shape'),
        [
            ('text_weight_fc.0.weight', (100, 192)),
            ('clip.text_projection', (192, 7)),
            ('clip.ln_final.weight', (191,)),
            ('clip.visual.ln_pre.weight', (5,)),
            ('clip.visual.positional_embedding', (11, 128)),
            ('diffusion_model_v.decoder.2.weight', (1, 5)),
        ],
    )
    def test_wrong_shape(self, key, shape):
        def change(state):
            state[key] = torch.zeros(shape)

        message = self.convert(change)
        assert f'1 misshapen:\n  {key} (file {list(shape)}, expected' in message
        assert 'missing' not in message

    def test_stage_one_given_as_stage_two(self):
        def change(state):
            for key in [key for key in state if key.startswith('diffusion_model')]:
                del state[key]

        message = self.convert(change, stage='generation')
        assert 'stage one' in message
        assert 'diffusion_model.q_proj.weight' in message

    def test_another_method(self):
        state = published('clip4clip')
        with pytest.raises(ConversionError, match='similarity has no weights'):
            convert_state_dict(state, 'drl')
        with pytest.raises(ConversionError, match='Is this a checkpoint of clip'):
            convert_state_dict(state, 'clip')
        with pytest.raises(ConversionError, match='have no stages'):
            convert_state_dict(state, 'clip4clip', 'generation')
        with pytest.raises(ConversionError, match='must be one of'):
            convert_state_dict(state, 'x')


def test_stage_two_file_as_stage_one_leaves_the_generators_out():
    done = convert_state_dict(published('diffusionret'), stage='discrimination')
    assert done.stage == 'discrimination'
    assert not any('generators' in key for key in done.state_dict)


def test_model_refuses_a_converted_stage_one_file_in_stage_two():
    done = convert_state_dict(published('diffusionret_stage_one'))
    with pytest.raises(CheckpointError, match=r'generators\.\*'):
        MODELS.build(done.model).load_state_dict(done.state_dict)


def test_layouts_name_their_similarities():
    named = {layout.similarity for layout in LAYOUTS.values()} - {None}
    assert all(MODELS.get(name) is not None for name in named)


class TestCommandLine:
    def run(self, *arguments, **options):
        return run_script(ROOT / 'tools/convert_checkpoint.py', *arguments, **options)

    def test_report_and_file(self, tmp_path):
        state = published('diffusionret', torch.float16)
        torch.save(state, tmp_path / 'best.pth')
        done = self.run(tmp_path / 'best.pth', tmp_path / 'ours.pth', '--keys', fresh=True)
        assert done.returncode == 0, done.stderr
        assert f'{len(state)} keys: {len(state) - 4} converted, 4 dropped' in done.stdout
        assert 'diffusion_model.proj.bias -> generators.t2v.denoiser.out_proj.bias' in done.stdout
        assert 'float16' in done.stdout
        saved = torch.load(tmp_path / 'ours.pth', weights_only=True)
        assert saved['meta']['stage'] == 'generation'
        assert saved['meta']['passport']['facts']['tokenizer'] == 'CLIP'
        assert len(saved['state_dict']) == len(state) - 4

    def test_nothing_is_written_on_an_error(self, tmp_path):
        state = published('diffusionret')
        del state['text_weight_fc.2.bias']
        torch.save(state, tmp_path / 'best.pth')
        done = self.run(tmp_path / 'best.pth', tmp_path / 'ours.pth')
        assert done.returncode == 2
        assert 'text_weight_fc.2.bias' in done.stderr
        assert 'Traceback' not in done.stderr
        assert not (tmp_path / 'ours.pth').exists()
