"""docs/model_zoo.md is what the metafiles say."""

from pathlib import Path

import pytest
import yaml
from tool_modules import load_tool

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def tool():
    return load_tool('model_zoo')


def test_the_document_is_in_step(tool):
    assert (ROOT / 'docs/model_zoo.md').read_text() == tool.write_document(), (
        'run python tools/model_zoo.py'
    )


def test_every_config_of_a_public_data_set_is_listed(tool):
    listed = {model['Config'] for _, models in tool.load_collections(ROOT) for model in models}
    for method in ('clip4clip', 'drl', 'emcl', 'hbi'):
        paths = list((ROOT / 'configs' / method).glob('*.py'))
        assert paths, method
        for path in paths:
            assert path.stem.endswith('_shapes') or f'configs/{method}/{path.name}' in listed


def test_every_published_number_names_its_source(tool):
    for _, models in tool.load_collections(ROOT):
        for model in models:
            for published in model['Published']:
                assert published['Source']
                assert published['Direction'] in ('t2v', 'v2t')
                assert set(published['Metrics']) <= set(tool.METRICS)


@pytest.fixture
def copy(tmp_path):
    def write(**changes):
        content = yaml.safe_load((ROOT / 'configs/hbi/metafile.yml').read_text())
        content['Models'] = [content['Models'][0] | changes]
        (tmp_path / 'metafile.yml').write_text(yaml.safe_dump(content))
        (tmp_path / 'model-index.yml').write_text('Import: [metafile.yml]\n')
        return tmp_path

    return write


def test_errors(tool, copy):
    with pytest.raises(ValueError, match=r'hbi_msrvtt has no config configs/gone.py'):
        tool.load_collections(copy(Config='configs/gone.py'))
    with pytest.raises(ValueError, match="is in the collection 'Other', and the file has 'HBI'"):
        tool.load_collections(copy(**{'In Collection': 'Other'}))


def test_quoted_systems_say_what_they_need_and_whether_they_are_comparable(tool):
    systems = yaml.safe_load((ROOT / tool.QUOTED).read_text())['Systems']
    for system in systems:
        assert system['Needs']
        for row in tool.quoted_rows(system):
            *_, comparable, source = row
            assert source
            assert comparable.startswith(('yes', 'no: ', '-'))
    text = tool.write_quoted(systems)
    assert '| no: leaky (docs/textdiff.md) | README of the released code |' in text
    assert 'mteb MSRVTT (879 clips, not 1k-A)' in text


def test_a_quoted_metric_that_the_table_has_not_is_refused(tool):
    row = dict(Dataset='d', Setting='s', t2v={'MdR': 2.0})
    system = dict(Name='X', Needs='n', Source='s', Comparable='yes', Rows=[row])
    with pytest.raises(ValueError, match=r"X has the metrics \['MdR'\]"):
        tool.quoted_rows(system)
