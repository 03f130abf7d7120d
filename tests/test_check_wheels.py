"""What tools/check_wheels.py says, from recorded answers of an index, and its table in the docs."""

import email.message
import importlib.metadata
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tool_modules import load_tool

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / 'docs/install.md').read_text()
INDEX = 'https://index.example/simple'
PYTHONS = ['3.10', '3.11', '3.12', '3.13']
# As the index lists them, shortened; `early` and `marked` are made up.
PAGES = {
    'decord': [
        'decord-0.5.2-py3-none-manylinux2010_x86_64.whl',
        'decord-0.6.0-cp38-cp38-macosx_10_15_x86_64.whl',
        'decord-0.6.0-py3-none-manylinux2010_x86_64.whl',
        'decord-0.6.0-py3-none-win_amd64.whl',
    ],
    'mmengine': ['mmengine-0.10.7-py3-none-any.whl', 'mmengine-0.10.7.tar.gz'],
    'onnxruntime': [
        'onnxruntime-1.23.2-cp310-cp310-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl',
        'onnxruntime-1.23.2-cp310-cp310-macosx_13_0_arm64.whl',
        'onnxruntime-1.24.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl',
        'onnxruntime-1.24.1-cp311-cp311-macosx_14_0_arm64.whl',
    ],
    'pylance': ['pylance-14.0.2-cp39-abi3-manylinux_2_28_x86_64.whl'],
    'mmcv': ['mmcv-2.1.0.tar.gz', 'mmcv-2.2.0.tar.gz', 'mmcv-2.0.0rc4.win32.exe'],
    'early': ['early-1.0-py3-none-any.whl', 'early-2.0rc1-py3-none-win_amd64.whl'],
    'newer-glibc': ['newer_glibc-1.0-py3-none-manylinux_2_34_x86_64.whl'],
}
SYSTEMS = ['Linux x86-64', 'Linux aarch64', 'macOS arm64', 'Windows x86-64']


@pytest.fixture(scope='module')
def tool():
    return load_tool('check_wheels')


@pytest.fixture(scope='module')
def project(tool):
    """The project as it is where the full mmcv is not installed."""

    def others(*args, **kwargs):
        return [dist for dist in distributions(*args, **kwargs) if dist.name != 'mmcv']

    distributions = importlib.metadata.distributions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, 'distributions', others)
        return tool.read_project(ROOT / 'setup.py')


def page_of(name, **more):
    return dict(name=name, files=[dict(filename=file, **more) for file in PAGES[name]])


@pytest.fixture
def index(tool, monkeypatch):
    """An index of the recorded pages; the list of what it was asked."""
    asked = []

    def urlopen(request, timeout):
        asked.append(request.full_url)
        name = request.full_url.rstrip('/').rpartition('/')[2]
        if name not in PAGES:
            raise HTTPError(request.full_url, 404, 'Not Found', email.message.Message(), None)
        answer = io.BytesIO(json.dumps(page_of(name)).encode())
        answer.headers = email.message.Message()
        answer.headers['Content-Type'] = request.get_header('Accept')
        return answer

    monkeypatch.setattr(tool, 'urlopen', urlopen)
    return asked


def cells(tool, requirement, **more):
    """The word of each system, per Python."""
    requirement = Requirement(requirement)
    files = tool.read_files(page_of(requirement.name, **more))
    return {
        system.name: [tool.verdict(files, requirement, python, system) for python in PYTHONS]
        for system in tool.PLATFORMS
    }


def test_a_package_without_wheels_for_arm(tool):
    assert cells(tool, 'decord>=0.6.0') == {
        'Linux x86-64': ['wheel'] * 4,
        'Linux aarch64': ['none'] * 4,
        'macOS arm64': ['none'] * 4,
        'Windows x86-64': ['wheel'] * 4,
    }


def test_a_wheel_for_every_system_comes_before_a_source(tool):
    assert cells(tool, 'mmengine<1') == {name: ['any'] * 4 for name in SYSTEMS}


def test_a_source_is_named(tool):
    found = cells(tool, 'mmcv<2.2.0,>=2.0.0rc4')
    assert found == {name: ['source'] * 4 for name in SYSTEMS}


def test_an_older_release_is_named(tool):
    found = cells(tool, 'onnxruntime>=1.20')
    assert found['Linux x86-64'] == ['wheel of 1.23.2', 'wheel', 'none', 'none']
    assert found['macOS arm64'] == ['wheel of 1.23.2', 'wheel', 'none', 'none']
    assert found['Windows x86-64'] == ['none'] * 4


def test_a_wheel_of_the_stable_abi_is_taken_by_later_pythons(tool):
    assert cells(tool, 'pylance>=14')['Linux x86-64'] == ['wheel'] * 4


def test_a_wheel_for_a_later_glibc_is_not_taken(tool):
    assert cells(tool, 'newer-glibc')['Linux x86-64'] == ['none'] * 4


@pytest.mark.parametrize(
    ('requirement', 'on_windows', 'on_linux'),
    [
        ('early', 'any', 'any'),
        ('early>=0.9rc1', 'wheel', 'any of 1.0'),
        ('early>=1.5', 'wheel', 'none'),
    ],
)
def test_pre_releases_are_taken_where_pip_takes_them(tool, requirement, on_windows, on_linux):
    found = cells(tool, requirement)
    assert found['Windows x86-64'] == [on_windows] * 4
    assert found['Linux x86-64'] == [on_linux] * 4


def test_withdrawn_files_are_not_taken(tool):
    assert cells(tool, 'mmengine', yanked='a defect')['Linux x86-64'] == ['none'] * 4


def test_the_versions_of_python_count(tool):
    found = cells(tool, 'mmengine', **{'requires-python': '>=3.12'})
    assert found['Linux x86-64'] == ['none', 'none', 'any', 'any']
    found = cells(tool, 'mmengine', **{'requires-python': '>=3.10.2,<3.14'})
    assert found['Linux x86-64'] == ['any'] * 4


def test_a_marker_leaves_systems_out(tool):
    found = cells(tool, 'mmengine; sys_platform == "linux" and python_version < "3.12"')
    assert found['Linux aarch64'] == ['any', 'any', 'not wanted', 'not wanted']
    assert found['macOS arm64'] == ['not wanted'] * 4


def test_a_cell_joins_versions_of_python(tool):
    assert tool.summarise(dict.fromkeys(PYTHONS, 'any')) == 'any'
    words = ['none', 'wheel', 'wheel', 'source']
    expected = '3.10: none, 3.11 to 3.12: wheel, 3.13: source'
    assert tool.summarise(dict(zip(PYTHONS, words, strict=True))) == expected


def test_every_package_is_asked_for_once(tool, index):
    requirements = [Requirement('decord>=0.6.0'), Requirement('Newer_glibc')]
    rows = tool.make_table(requirements, PYTHONS, INDEX + '/')
    assert index == [f'{INDEX}/decord/', f'{INDEX}/newer-glibc/']
    assert rows[0] == ['`decord>=0.6.0`', 'wheel', 'none', 'none', 'wheel']


def test_a_package_that_the_index_lacks_is_named(tool, index):
    with pytest.raises(OSError, match='nothing about missing: HTTP Error 404'):
        tool.fetch_page(INDEX, 'missing')


def test_an_index_without_json_is_refused(tool, monkeypatch):
    answer = io.BytesIO(b'<html>')
    answer.headers = email.message.Message()
    answer.headers['Content-Type'] = 'text/html'
    monkeypatch.setattr(tool, 'urlopen', lambda request, timeout: answer)
    with pytest.raises(ValueError, match='answers with text/html about decord'):
        tool.fetch_page(INDEX, 'decord')


def test_a_password_is_neither_sent_nor_shown(tool, index):
    with pytest.raises(ValueError, match='wants a password') as caught:
        tool.fetch_page('https://me:secret@index.example/simple', 'decord')
    assert 'secret' not in str(caught.value)
    assert index == []


@pytest.mark.parametrize('colon', ['', ':'])
def test_the_index_is_that_of_pip(tool, monkeypatch, colon):
    text = (
        f'  -i, --index-url <url>  Base URL of the Python Package Index (default{colon} {INDEX}). T'
    )
    monkeypatch.setattr(tool.subprocess, 'run', lambda *_, **__: SimpleNamespace(stdout=text))
    assert tool.index_of_pip() == INDEX


def test_a_pip_that_names_no_index_is_refused(tool, monkeypatch):
    monkeypatch.setattr(tool.subprocess, 'run', lambda *_, **__: SimpleNamespace(stdout=''))
    with pytest.raises(ValueError, match='--index-url'):
        tool.index_of_pip()


def test_the_project_is_read_from_setup(tool, project):
    assert tool.pythons_of(project) == PYTHONS
    plain = tool.requirements_of(project, [])
    assert 'decord>=0.6.0' in map(str, plain)
    more = tool.requirements_of(project, ['search', 'demo'])
    assert [str(requirement) for requirement in more].count('pyarrow>=19') == 1
    with pytest.raises(ValueError, match="no extra 'none'; it has demo"):
        tool.requirements_of(project, ['none'])


def test_the_table_is_printed(tool, index, monkeypatch, capsys):
    arguments = ['check_wheels.py', '--index-url', INDEX]
    monkeypatch.setattr('sys.argv', arguments)
    project = SimpleNamespace(
        install_requires=['decord'], extras_require={}, python_requires='>=3.10,<3.14'
    )
    monkeypatch.setattr(tool, 'read_project', lambda setup_file: project)
    tool.main()
    assert capsys.readouterr().out.splitlines() == [
        f'| requirement | {" | ".join(SYSTEMS)} |',
        '| --- | --- | --- | --- | --- |',
        '| `decord` | wheel | none | none | wheel |',
    ]
    monkeypatch.setattr('sys.argv', [*arguments, '--extras', 'other'])
    with pytest.raises(SystemExit, match='2'):
        tool.main()
    assert "no extra 'other'" in capsys.readouterr().err


def test_the_document_has_every_requirement(tool, project):
    extras = re.search(r'check_wheels.py --extras ([a-z ]+)\n', DOCUMENT)[1].split()
    assert {*extras} == {*project.extras_require} - {'search', 'test', 'dev'}
    written = re.findall(r'^\| `([^`]+)` \|', DOCUMENT, re.MULTILINE)
    asked = [str(requirement) for requirement in tool.requirements_of(project, extras)]
    assert written == asked


def test_the_way_round_installs_every_other_requirement(project):
    """What the document installs by name is what is left when decord and mmaction2 are not."""
    listed = re.search(r'```bash\n(pip install (?:[^`]|\\\n)*?)```', DOCUMENT)[1]
    first, *others = listed.replace('\\\n', ' ').strip().splitlines()
    assert [line.split()[2:] for line in others] == [
        ['--no-deps', 'mmaction2==1.2.0'],
        ['--no-deps', '-e', '.'],
    ]
    names = {canonicalize_name(Requirement(word.strip('"')).name) for word in first.split()[2:]}
    own = {canonicalize_name(Requirement(text).name) for text in project.install_requires}
    assert own - names == {'decord', 'mmaction2'}
    assert names - own == {'einops', 'opencv-contrib-python', 'scipy'}


def test_nothing_needs_decord_to_be_imported():
    files = [*(ROOT / 'diffusionret_mm').rglob('*.py')]
    at_import = re.compile(r'^(?:import|from) decord\b', re.MULTILINE)
    assert at_import.search('import decord\n')
    assert [file for file in files if at_import.search(file.read_text())] == []
