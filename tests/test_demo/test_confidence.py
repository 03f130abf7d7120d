"""The page of a model that says how sure it is."""

import pytest
from page_client import CLIENT, call

from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.service import DemoService

TEXT = 'a red circle moves left'


@pytest.fixture(scope='module')
def sure_service(sure_clips):
    """What answers, by a calibrated model."""
    return DemoService(sure_clips.inferencer, sure_clips.gallery)


@pytest.fixture(scope='module')
def sure_server(serving, sure_service):
    """Address of its page."""
    with serving(sure_service) as address:
        yield address


def controls(server):
    parts = CLIENT.get(f'{server}/config').json()['components']
    return [part['props'].get('elem_id') for part in parts if part['type'] == 'slider']


def test_a_search_says_how_sure_it_is(sure_server, sure_service):
    kind, (html, chosen, *_) = call(sure_server, 'search', TEXT, 0)
    assert kind == 'complete'
    assert len(chosen['choices']) == 6
    assert html.count(', probability ') == 4
    confidence = sure_service.find(TEXT).confidence
    assert f'>Confidence {100 * confidence:.0f} %</p>' in html


def test_below_the_least_confidence_there_is_no_match(sure_server):
    kind, (html, chosen, actions, _) = call(sure_server, 'search', TEXT, 1)
    assert kind == 'complete'
    assert 'No match: confidence' in html
    assert '<video' not in html
    assert (chosen['choices'], actions['visible']) == ([], False)
    assert call(sure_server, 'search', TEXT, 2)[0] == 'error'


def test_an_address_has_a_least_confidence(sure_server):
    kind, (sentence, confidence, html, *_) = call(sure_server, 'open', TEXT, 1)
    assert (kind, sentence, confidence) == ('complete', TEXT, 1)
    assert 'No match' in html
    assert call(sure_server, 'open', TEXT, 0)[1][2] == call(sure_server, 'search', TEXT, 0)[1][0]
    kind, values = call(sure_server, 'open', '', 0)
    assert kind == 'complete'
    assert all('value' not in value for value in values)


def test_only_a_model_with_a_confidence_has_the_control(sure_server, server, service):
    assert controls(sure_server) == ['min_confidence']
    assert controls(server) == []
    with pytest.raises(RequestError, match='CalibrateHook has not calibrated it'):
        service.find(TEXT, 0.5)
