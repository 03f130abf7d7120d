"""A hub that answers, and one that does not."""

from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError

from diffusionret_mm.storage import hub
from diffusionret_mm.storage.hub import HubError, size_on_hub


@pytest.fixture
def answers(monkeypatch):
    """A function that sets what the hub answers, one after the other; it returns the questions."""

    def give(*results):
        left, questions = list(results), []

        def metadata(url, timeout):
            questions.append((url, timeout))
            result = left.pop(0)
            if isinstance(result, Exception):
                raise result
            return SimpleNamespace(size=result)

        monkeypatch.setattr(hub, 'get_hf_file_metadata', metadata)
        return questions

    monkeypatch.setattr(hub.time, 'sleep', lambda seconds: None)
    return give


def test_the_size_of_a_file(answers):
    questions = answers(7)
    assert size_on_hub('timm/a', 'b.pt') == 7
    ((url, timeout),) = questions
    assert url == 'https://huggingface.co/timm/a/resolve/main/b.pt'
    assert timeout == 10


def test_a_refusal_is_an_answer(answers):
    answers(HfHubHTTPError.__new__(HfHubHTTPError))  # its arguments depend on the version
    assert size_on_hub('timm/a', 'b.pt') is None


def test_what_failed_at_once_is_tried_again(answers):
    answers(OSError('reset'), 7)
    assert size_on_hub('timm/a', 'b.pt') == 7


def test_a_hub_that_cannot_be_reached(answers):
    answers(OSError('no network'), OSError('no\nnetwork.'))
    with pytest.raises(HubError, match='huggingface.co cannot be reached: OSError, no network$'):
        size_on_hub('timm/a', 'b.pt')


def test_a_hub_that_does_not_answer_is_asked_once(answers, monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(hub.time, 'monotonic', lambda: next(clock))
    questions = answers(TimeoutError('timed out'))
    with pytest.raises(HubError, match='TimeoutError, timed out'):
        size_on_hub('timm/a', 'b.pt')
    assert len(questions) == 1
