"""How sentences are counted, and that rates say "per"."""

import pytest
from tool_modules import load_tool


@pytest.fixture(scope='module')
def prose():
    return load_tool('prose')


def test_rates_say_per_in_all_documents(prose):
    texts = prose.documents(None)
    assert len(texts) > 30
    assert {name: found for name, text in texts.items() if (found := prose.rates(text))} == {}


@pytest.mark.parametrize(
    'text', ['3 ms a query', '20 a video', '4 frames\na clip', 'one row a query', '1.5 GB an hour']
)
def test_a_rate_is_found(prose, text):
    assert len(prose.rates(f'It takes {text}.')) == 1


@pytest.mark.parametrize(
    'text',
    [
        '3 ms per query',
        'With ViT-B/32 a batch has 24',
        'It has 2 of a video',
        'It was 3. A video is',
        '```\n3 ms a query\n```',
        '300 is a row',
    ],
)
def test_other_words_are_no_rate(prose, text):
    assert prose.rates(text) == []


def test_sentences_are_those_of_the_text(prose):
    text = (
        '# A heading\n\nOne `a b c` two. Three [four five](x.md) six:\n\n- seven\n  eight\n- Nine\n'
        '\n| a | table |\n|---|---|\n\n```bash\nls. Not. This.\n```\n\nv2t: 3.5 is a number, ten.'
    )
    assert list(prose.sentences(text)) == [
        'One NAME two.',
        'Three four five six',
        'seven eight',
        'Nine',
        'v2t: 3.5 is a number, ten.',
    ]


def test_the_report_counts_words(prose):
    lines = prose.report({'x.md': 'One two three. Four five.', 'y.md': '5 s a query.'}).splitlines()
    assert lines[1].split() == ['x.md', '2', '2.5', '3', '0', '0']
    assert lines[3].split() == ['all', '3', '3', '4', '0', '1']


def test_a_commit_that_is_none_is_named(prose):
    with pytest.raises(ValueError, match='no_such_commit'):
        prose.documents('no_such_commit')
