"""What people give in place of a checkpoint, to every tool that takes one."""

import pytest
import torch

pytest.importorskip('lance')

TOOLS = ('train', 'resume', 'test', 'visualize', 'index', 'search', 'demo', 'export_onnx')
TOOLS += ('banzhaf',)


@pytest.fixture
def arguments(config, clips, tmp_path):
    """A function: the name of a tool, and its arguments with a checkpoint."""
    gallery = tmp_path / 'gallery'

    def of(tool, checkpoint):
        return {
            'train': ('train', config, '--cfg-options', f'load_from={checkpoint}'),
            'resume': ('train', config, '--resume', checkpoint),
            'test': ('test', config, checkpoint),
            'visualize': ('visualize', 'similarity', config, checkpoint),
            'index': ('index', config, checkpoint, clips(1), gallery),
            'search': ('search', config, checkpoint, gallery, 'a red circle'),
            'demo': ('demo', config, checkpoint, gallery),
            'export_onnx': ('export_onnx', config, checkpoint, '--out', tmp_path / 'onnx'),
            'banzhaf': (
                *('train_banzhaf_estimator', config, tmp_path / 'out.pth', '--iterations', 1),
                *('--checkpoint', checkpoint),
            ),
        }[tool]

    return of


@pytest.mark.parametrize('tool', TOOLS)
def test_a_file_that_is_no_checkpoint(sentence, arguments, tmp_path, tool):
    file = tmp_path / 'model.pth'
    file.write_bytes(b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n')
    assert f'{file} is a pointer of Git LFS' in sentence(*arguments(tool, file))
    assert 'none.pth' in sentence(*arguments(tool, tmp_path / 'none.pth'))
    assert not (tmp_path / 'gallery').exists()


@pytest.mark.parametrize('tool', [tool for tool in TOOLS if tool != 'resume'])
def test_weights_that_are_no_numbers(sentence, arguments, state, tmp_path, tool):
    key = 'similarity.word_weight.0.weight'
    state[key].view(-1)[-1] = torch.nan if len(tool) % 2 else -torch.inf
    file = tmp_path / 'diverged.pth'
    torch.save(dict(state_dict=state, meta={}), file)
    said = sentence(*arguments(tool, file))
    assert f'NaN or infinite values in 1 of {len(state)} tensors: {key}' in said
    assert not (tmp_path / 'gallery').exists()


@pytest.fixture
def compiled(state, tmp_path):
    """A checkpoint of a compiled model, in one form or another."""

    def save(prefix, whole):
        names = {name: name for name in state}
        if prefix == 'inside':
            names = {name: name.replace('backbone.', 'backbone._orig_mod.') for name in state}
        named = {names[name]: value for name, value in state.items()}
        if prefix != 'inside':
            named = {f'{prefix}{name}': value for name, value in state.items()}
        torch.save(dict(state_dict=named, meta={}) if whole else named, tmp_path / 'compiled.pth')
        return tmp_path / 'compiled.pth'

    return save


@pytest.mark.parametrize(
    ('prefix', 'whole'),
    [('_orig_mod.', True), ('module._orig_mod.', False), ('_orig_mod.module.', True),
     ('inside', True)],
)  # fmt: skip
def test_weights_of_a_compiled_model(
    run_tool, arguments, compiled, state, checkpoint, config, tmp_path, prefix, whole
):
    torch.save(state, checkpoint)
    done = run_tool(*arguments('index', compiled(prefix, whole)))
    assert done.status == 0, done.err
    # The gallery is one of the plain weights.
    assert run_tool(*arguments('search', checkpoint)).status == 0


def test_training_and_tests_load_weights_of_a_compiled_model(
    run_tool, arguments, compiled, config, tmp_path, sentence
):
    file = compiled('_orig_mod.', True)
    metrics = []
    for source in (file, compiled('', True)):
        done = run_tool(*arguments('test', source), '--out', tmp_path / 'metrics.json')
        assert done.status == 0, done.err
        metrics.append((tmp_path / 'metrics.json').read_text())
    assert metrics[0] == metrics[1]
    file = compiled('_orig_mod.', True)
    done = run_tool(*arguments('train', file))
    assert done.status == 0, done.err
    last = tmp_path / 'run/epoch_1.pth'
    more = ('--cfg-options', 'train_cfg.max_epochs=2', 'default_hooks.resume.differences=warn')
    saved = torch.load(last, weights_only=False)
    plain = saved['state_dict']
    saved['state_dict'] = {f'_orig_mod.{name}': value for name, value in plain.items()}
    torch.save(saved, last)
    done = run_tool('train', config, '--resume', last, *more)
    assert done.status == 0, done.err
    plain['similarity.word_weight.0.weight'][0] = torch.nan
    torch.save(saved | dict(state_dict=plain), last)
    (tmp_path / 'run/epoch_2.pth').unlink()
    for resumed in (last, 'auto'):
        said = sentence('train', config, '--resume', resumed, *more)
        assert 'NaN or infinite values in 1 of' in said
