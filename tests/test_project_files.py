"""The files beside the code: they can be read, and say the same as the code."""

import re
from pathlib import Path

import pytest
import yaml
from tool_modules import load_tool

from diffusionret_mm.version import __version__

ROOT = Path(__file__).parents[1]
FORMS = sorted((ROOT / '.github/ISSUE_TEMPLATE').glob('[!c]*.yml'))
YAML_FILES = [
    *sorted((ROOT / '.github').rglob('*.yml')),
    ROOT / '.pre-commit-config.yaml',
    ROOT / 'CITATION.cff',
]
DOCUMENTS = (
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs/install.md',
    '.github/pull_request_template.md',
)
# Those that a Dockerfile may have, less the ones that are out of use.
INSTRUCTIONS = (
    *('ADD', 'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'HEALTHCHECK', 'LABEL'),
    *('ONBUILD', 'RUN', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'),
)


def read_yaml(path):
    return yaml.safe_load((ROOT / path).read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def wheels():
    return load_tool('check_wheels')


@pytest.fixture(scope='module')
def project(wheels):
    return wheels.read_project(ROOT / 'setup.py')


@pytest.fixture(scope='module')
def pythons(wheels, project):
    return wheels.pythons_of(project)


@pytest.fixture(scope='module')
def citation():
    return read_yaml('CITATION.cff')


@pytest.mark.parametrize('path', YAML_FILES, ids=lambda path: path.name)
def test_files_can_be_read(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding='utf-8')), dict)


def test_the_workflow_runs_the_checks_on_every_python(pythons):
    workflow = read_yaml('.github/workflows/ci.yml')
    assert set(workflow['on']) == {'push', 'pull_request'}
    (job,) = workflow['jobs'].values()
    versions = job['strategy']['matrix']['python']
    assert versions[0] == '3.11'
    assert sorted(versions, key=lambda version: int(version[2:])) == pythons
    uses = [step['uses'] for step in job['steps'] if 'uses' in step]
    assert all(re.fullmatch(r'actions/[\w-]+@v\d+', name) for name in uses)
    (python,) = (step['with'] for step in job['steps'] if 'with' in step)
    assert python['python-version'] == '${{ matrix.python }}'
    assert python['cache'] == 'pip'
    assert (ROOT / python['cache-dependency-path']).is_file()
    assert [step['run'] for step in job['steps'] if 'run' in step] == ['bash .ci/run']
    assert (ROOT / '.ci/run').is_file()


def test_the_same_pythons_are_named_everywhere(project, pythons):
    named = [name.rpartition(' ')[2] for name in project.get_classifiers()]
    assert [name for name in named if name.startswith('3.')] == pythons
    span = f'{pythons[0]} to {pythons[-1]}'
    for path in ('.ci/run', 'README.md', 'docs/install.md'):
        assert f'Python {span}' in (ROOT / path).read_text(encoding='utf-8'), path


def test_the_citation_is_of_this_version(project, citation):
    assert citation['version'] == __version__
    assert citation['title'] == project.get_name()
    assert citation['abstract'] == project.get_description()
    assert citation['license'] == project.get_license()
    assert [author['name'] for author in citation['authors']] == [project.get_author()]


def test_the_citation_has_what_its_format_asks_for(citation):
    assert citation['cff-version'] == '1.2.0'
    assert citation['message']
    (paper,) = citation['references']
    assert paper['type'] == 'conference-paper'
    assert all(set(author) == {'family-names', 'given-names'} for author in paper['authors'])
    assert 0 < paper['start'] < paper['end']


def test_the_paper_is_that_of_the_readme(citation):
    (paper,) = citation['references']
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    number = paper['identifiers'][0]['value'].removeprefix('arXiv:')
    assert paper['url'] == f'https://arxiv.org/abs/{number}'
    assert paper['url'] in readme
    assert f'ICCV {paper["year"]}' in readme
    assert paper['title'] in ' '.join(readme.split()).replace('*', '')


@pytest.mark.parametrize('path', FORMS, ids=lambda path: path.stem)
def test_forms_of_issues_ask_something(path):
    form = read_yaml(path)
    assert form['name']
    assert form['description']
    questions = form['body']
    assert {question['type'] for question in questions} <= {'textarea', 'input', 'dropdown'}
    assert len({question['id'] for question in questions}) == len(questions)
    assert all(question['attributes']['label'] for question in questions)
    assert any(question.get('validations', {}).get('required') for question in questions)


def test_there_is_a_form_for_each_kind_of_issue():
    assert [path.stem for path in FORMS] == ['bug', 'feature', 'question']
    assert read_yaml('.github/ISSUE_TEMPLATE/config.yml') == {'blank_issues_enabled': False}


def test_hooks_before_commits_are_pinned():
    repositories = read_yaml('.pre-commit-config.yaml')['repos']
    assert all(re.fullmatch(r'v\d+\.\d+\.\d+', entry['rev']) for entry in repositories)
    hooks = [hook['id'] for entry in repositories for hook in entry['hooks']]
    assert hooks == ['ruff-check', 'ruff-format', 'end-of-file-fixer', 'check-added-large-files']


@pytest.mark.parametrize('document', DOCUMENTS)
def test_files_that_documents_name_exist(document):
    path = ROOT / document
    text = path.read_text(encoding='utf-8')
    linked = [path.parent / name for name in re.findall(r'\]\(([^)#:]+)\)', text)]
    rooms = 'configs|diffusionret_mm|docs|tests|tools'
    named = re.findall(rf'(?<![\w/.-])(?:{rooms})/[\w./-]+\.\w+\b', text)
    paths = [*linked, *(ROOT / name for name in named)]
    assert [path for path in paths if not path.is_file()] == []
    assert paths or document.startswith('.github')


def test_rooms_are_listed_in_their_order():
    layers = re.search(r'\nlayers = \[(.*?)\]', (ROOT / 'pyproject.toml').read_text(), re.DOTALL)
    table = (ROOT / 'CONTRIBUTING.md').read_text().partition('| room |')[2].partition('\n\n')[0]
    assert re.findall(r'^\| `(\w+)` \|', table, re.MULTILINE) == re.findall(r'"(\w+)"', layers[1])


def test_each_plugin_is_where_to_start_from():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    plugins = {f'tests/plugins/{path.name}' for path in (ROOT / 'tests/plugins').glob('*.py')}
    assert set(re.findall(r'tests/plugins/\w+\.py', text)) == plugins
    classes = re.findall(r'\| `(\w+)` in `([\w/.]+)` \|', text)
    assert len(classes) == len(plugins)
    for name, path in classes:
        assert f'class {name}(' in (ROOT / path).read_text()


def read_dockerfile(text):
    """Return its instructions as pairs of name and arguments; continued lines are joined."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith('#')]
    lines = '\n'.join(kept).replace('\\\n', ' ').splitlines()
    return [(*line.split(maxsplit=1), '')[:2] for line in lines if line.strip()]


def faults_of(text, allowed):
    """Return what is wrong with a Dockerfile; `allowed` are the files that may be copied."""
    defaults, stages, faults = {}, [], []
    for name, arguments in read_dockerfile(text):
        words = arguments.split()
        if name not in INSTRUCTIONS:
            faults.append(f'no instruction: {name}')
        elif name != 'ARG' and name != 'FROM' and not stages:
            faults.append(f'before the first FROM: {name}')
        elif name == 'ARG':
            defaults.update([(*arguments.split('=', 1), '')[:2]])
        elif name == 'FROM':
            image = re.sub(r'\$\{(\w+)\}', lambda found: defaults[found[1]], words[0])
            if image not in stages and not re.fullmatch(r'[\w./-]+:(?!latest$)[\w.-]+', image):
                faults.append(f'no fixed tag: {image}')
            stages.append(words[2] if len(words) == 3 else '')
        elif name == 'COPY' and words[0].startswith('--from='):
            if words[0].removeprefix('--from=') not in stages:
                faults.append(f'no stage: {words[0]}')
        elif name in ('COPY', 'ADD'):
            faults += [f'not there: {word}' for word in words[:-1] if word not in allowed]
    return faults if stages else [*faults, 'no FROM']


@pytest.fixture(scope='module')
def copied():
    """What .dockerignore lets into the image."""
    first, *others = [
        line
        for line in (ROOT / '.dockerignore').read_text().splitlines()
        if line and not line.startswith('#')
    ]
    assert first == '*'
    return [line[1:] for line in others if line.startswith('!')]


def test_the_dockerfile_can_be_built_from(copied):
    text = (ROOT / 'Dockerfile').read_text()
    assert faults_of(text, copied) == []
    assert all((ROOT / name).exists() for name in copied)
    assert {name for name in copied if re.search(rf'\bCOPY .*\b{re.escape(name)} ', text)} == {
        *copied
    }


def test_the_image_takes_a_python_that_is_tested_and_an_index(pythons):
    arguments = dict(
        part.split('=', 1)
        for name, part in read_dockerfile((ROOT / 'Dockerfile').read_text())
        if name == 'ARG'
    )
    assert arguments['PYTHON'] in pythons
    assert arguments['TORCH_INDEX'] == '""'
    assert '--build-arg TORCH_INDEX=' in (ROOT / 'docs/install.md').read_text()


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('FROM python', 'no fixed tag: python'),
        ('FROM python:latest', 'no fixed tag: python:latest'),
        ('ARG A=latest\nFROM python:${A}', 'no fixed tag: python:latest'),
        ('FROM a:1\nCOPY setup.py gone.py ./', 'not there: gone.py'),
        ('FROM a:1 AS one\nFROM b:2\nCOPY --from=two /x /x', 'no stage: --from=two'),
        ('FROM a:1\nINSTALL x', 'no instruction: INSTALL'),
        ('FROM a:1\nRUN a \\\n    && b\n&& c', 'no instruction: &&'),
        ('RUN a\nFROM a:1', 'before the first FROM: RUN'),
        ('# nothing', 'no FROM'),
    ],
)
def test_faults_of_dockerfiles_are_found(text, fault):
    assert faults_of(text, ['setup.py']) == [fault]


def test_stages_of_dockerfiles_are_known():
    text = 'FROM a:1 AS one\nFROM one\nCOPY --from=one /x /x'
    assert faults_of(text, []) == []
