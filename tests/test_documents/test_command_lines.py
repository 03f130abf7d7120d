"""Every command of README and guides fits its parser, its config and its files."""

import argparse
import inspect
import io
import re
from contextlib import redirect_stderr
from functools import cache

import pytest
from document_commands import COMMANDS, ROOT, expand, lines_of, words_of
from mmaction import registry
from mmengine.registry import Registry
from setuptools import Distribution
from site_modules import load_site
from tool_modules import load_tool

from diffusionret_mm.apis.command_line import read_config

TOOLS = [command for command in COMMANDS if command.tool]
# What stands before the options of the tool that a shell script runs.
SCRIPTS = {
    'tools/dist_train.sh': ('tools/train.py', r'(\S+) \S+(.*)'),
    'tools/dist_test.sh': ('tools/test.py', r'(\S+ \S+) \d+(.*)'),
    'tools/dist_index.sh': ('tools/index.py', r'\d+ (.+?)(--.*|$)'),
    'tools/slurm_train.sh': ('tools/train.py', r'\S+ \S+ (\S+)(.*)'),
    'tools/slurm_test.sh': ('tools/test.py', r'\S+ \S+ (\S+)(.*)'),
    'tools/benchmarks/gpu.sh': ('tools/benchmarks/gpu.py', r'(?:[^-\s]\S*)?(.*)'),
    'tools/slurm_index.sh': ('tools/index.py', r'\S+ \S+ (.+?)(--.*|$)'),
}
REST = re.compile(r'\s*\[options of \S+\]')


@cache
def parser_of(tool):
    return load_site('command_lines').parser_of(tool)


def python_command(command):
    """The Python script that a command runs, and the script's arguments."""
    tool, arguments = command.tool, command.arguments
    if tool in SCRIPTS:
        tool, form = SCRIPTS[tool]
        found = re.fullmatch(form, REST.sub('', ' '.join(arguments)))
        assert found, f'{command.document}: {command.line}'
        arguments = ' '.join(found.groups()).split()
    return tool, list(arguments)


def parse(tool, arguments):
    """Return the namespace of a command line, or fail with what its parser says."""
    parser, errors = parser_of(tool), io.StringIO()
    parts = any(isinstance(action, argparse._SubParsersAction) for action in parser._actions)
    try:
        with redirect_stderr(errors):
            run = parser.parse_args if parts else parser.parse_intermixed_args
            return run(arguments)
    except SystemExit:
        pytest.fail(errors.getvalue().strip().splitlines()[-1])


def test_there_are_commands_of_every_document_that_has_a_block():
    documents = {command.document for command in COMMANDS}
    assert {'README.md', 'docs/get_started.md', 'docs/search.md'} <= documents
    assert len(TOOLS) > 150


def name_of(command):
    return f'{command.document}: {command.line}'


@pytest.mark.parametrize('command', TOOLS, ids=name_of)
def test_a_command_fits_its_parser_and_its_config(command):
    assert command.words[0] == 'text-video' or (ROOT / command.tool).is_file()
    tool, arguments = python_command(command)
    args = dict(cfg_options=None, backbone=None) | vars(parse(tool, arguments))
    for config in [args.get('config'), *args.get('configs', [])]:
        if config and config.startswith('configs/'):
            check_config(ROOT / config, args['backbone'], args['cfg_options'] or {})


def check_config(path, backbone, options):
    """Fail if a config is missing, or does not have what options set in it."""
    assert path.is_file()
    if backbone:
        backbone = re.sub(r':/.*', ':none', backbone)  # a file of the reader's
    cfg = read_config(argparse.Namespace(config=str(path), backbone=backbone, cfg_options=None))
    assert [fault for key in options if (fault := fault_of(key, cfg))] == []


def fault_of(key, cfg):
    """Return what is wrong with the key of a setting; None: a config has it, or may have it."""
    place = cfg
    for name in key.split('.'):
        if isinstance(place, list):
            place = place[int(name)]
        elif name in place:
            place = place[name]
        else:
            found = 'type' in place and name in arguments_of(class_of(place['type']))
            return None if found else f'{key}: there is no {name}'
    return None


def class_of(name):
    registries = [value for value in vars(registry).values() if isinstance(value, Registry)]
    return next(found for known in registries if (found := known.get(name)))


def arguments_of(owner):
    """The arguments that a class takes, those of its bases too."""
    inits = [vars(base)['__init__'] for base in owner.__mro__[:-1] if '__init__' in vars(base)]
    return {name for init in inits for name in inspect.signature(init).parameters}


@pytest.mark.parametrize('command', COMMANDS, ids=lambda command: command.line)
def test_what_a_command_installs_is_an_extra(command):
    for extra in re.findall(r'\.\[(\w+)\]', command.line):
        assert extra in project().extras_require


@cache
def project() -> Distribution:
    return load_tool('check_wheels').read_project(ROOT / 'setup.py')


def test_a_wrong_option_a_missing_argument_and_a_wrong_setting_are_found():
    with pytest.raises(pytest.fail.Exception, match='unrecognized arguments: --seeds'):
        parse('tools/train.py', ['configs/diffusionret_shapes.py', '--seeds', '3'])
    with pytest.raises(pytest.fail.Exception, match='required: gallery'):
        parse('text-video search', [])
    path = ROOT / 'configs/diffusionret_shapes.py'
    for key in ('model.nothing.at.all', 'nothing', 'train_dataloader.dataset.maniFest'):
        with pytest.raises(AssertionError, match='there is no'):
            check_config(path, None, {key: 1})
    check_config(path, 'PE-Core-B-16', {'train_dataloader.dataset.bad_videos': 1})


def test_lines_are_joined_and_words_are_those_of_a_shell():
    joined, span = lines_of(
        '```bash\nA=1 python tools/x.py {a,b}.py \\\n --y "two words"  # why\n```\n'
        'Then `text-video demo G` is a command, and `text-video demo` is a name.'
    )
    assert words_of(joined) == ('python', 'tools/x.py', 'a.py', 'b.py', '--y', 'two words')
    assert span == 'text-video demo G'
    assert expand('c{1,2}d') == ['c1d', 'c2d']
