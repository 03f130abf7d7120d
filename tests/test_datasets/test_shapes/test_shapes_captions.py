"""Captions tell the whole scene, each in other words."""

import re
from itertools import compress

import numpy as np
import pytest
from open_clip.tokenizer import SimpleTokenizer

from diffusionret_mm.datasets.shapes.build import DEFAULT_NUM_SCENES
from diffusionret_mm.datasets.shapes.captions import (
    COLOUR_WORDS,
    SHAPE_WORDS,
    VERBS,
    describe_scene,
    describe_vaguely,
    vocabulary,
)
from diffusionret_mm.datasets.shapes.clips import answers_to_vague_captions, draw_clips
from diffusionret_mm.datasets.shapes.drawing import draw_scene
from diffusionret_mm.datasets.shapes.scenes import COLOURS, DETAILS, SHAPES, Action


@pytest.fixture(scope='module')
def clips():
    return draw_clips(0, DEFAULT_NUM_SCENES, captions_per_video=4)


def read_caption(caption):
    """Reads a caption word by word, knowing the synonyms but not the sentence patterns."""
    text = caption
    for words in (COLOUR_WORDS, SHAPE_WORDS):
        for name, synonyms in words.items():
            for synonym in synonyms:
                text = text.replace(f' {synonym}', f' {name}')
    verbs = [(verb.split(' {')[0], action) for action, forms in VERBS.items() for verb in forms]
    verbs.sort(key=lambda pair: (pair[1] is Action.RECOLOUR, -len(pair[0])))
    for verb, action in verbs:
        text = text.replace(f' {verb}', f' <{action.value}>')
    # A figure that is named again, where 'it' could be either.
    text = re.sub(r' the \w+ \w+', ' it', text)
    # The second part comes first in time: "b does w after a does v".
    parts = text.split(' after ')
    if len(parts) == 2 and not parts[0].endswith(','):
        text = f'{parts[1]} {parts[0]}'
    meanings = {*COLOURS, *SHAPES, *(f'<{action.value}>' for action in Action)}
    return [w.strip('<>') for w in text.replace(',', '').split() if w in meanings]


def key_words(scene):
    words = scene.key.split(' > ')
    same_actor = scene.first.actor == scene.second.actor
    return words[0].split() + words[1].split()[2 if same_actor else 0 :]


def test_caption_can_be_read_back_as_its_scene(clips):
    for clip in clips['test'] + clips['val']:
        for caption in clip.captions:
            assert read_caption(caption) == key_words(clip.scene), caption


def test_no_two_videos_share_a_caption(clips):
    captions = [c for split in clips.values() for clip in split for c in clip.captions]
    assert len(set(captions)) == len(captions) == 1010 * 3 * 4


def test_captions_are_plain_and_short(clips):
    tokenizer = SimpleTokenizer()
    for clip in clips['test'] + clips['val']:
        for caption in (*clip.captions, *clip.vague_captions):
            assert caption == caption.lower().strip()
            assert '{' not in caption
            assert len(caption.split()) <= 22
            assert len(tokenizer.encode(caption)) + 2 <= 32


@pytest.mark.parametrize('seed', [0, 1])
def test_training_covers_the_vocabulary(seed):
    clips = draw_clips(seed, DEFAULT_NUM_SCENES, captions_per_video=4)
    texts = ' '.join(c for clip in clips['train'] for c in (*clip.captions, *clip.vague_captions))
    assert set(texts.replace(',', '').split()) == vocabulary()
    assert 40 <= len(vocabulary()) <= 60


def test_too_many_captions(clips):
    scene = clips['val'][0].scene
    rng = np.random.default_rng(0)
    assert len(set(describe_scene(scene, 5, rng))) == 5
    with pytest.raises(ValueError, match='between 1 and 5; got 6'):
        describe_scene(scene, 6, rng)


def test_after_a_swap_the_actor_is_named_again(clips):
    swaps = [clip for clip in clips['train'] if clip.scene.first.action is Action.SWAP]
    captions = [caption for clip in swaps for caption in clip.captions]
    assert captions
    assert not any(' it ' in caption for caption in captions)
    assert any(', the ' in caption for caption in captions)


@pytest.mark.parametrize(
    ('detail', 'names', 'synonyms'),
    [('colours', COLOURS, COLOUR_WORDS), ('shapes', SHAPES, SHAPE_WORDS)],
)
def test_vague_captions_leave_a_detail_out(clips, detail, names, synonyms):
    left_out = {*names, *(word for words in synonyms.values() for word in words)}
    for clip in clips['test']:
        caption = clip.vague_captions[DETAILS.index(detail)]
        assert not left_out & set(caption.replace(',', '').split()), caption


def test_vague_captions_tell_the_rest(clips):
    for clip in clips['test']:
        without_colours, without_shapes = clip.vague_captions
        events = [word for word in key_words(clip.scene) if word not in {*COLOURS, *SHAPES}]
        assert [w for w in read_caption(without_shapes) if w not in COLOURS] == events
        shapes = {figure.shape for figure in clip.scene.figures}
        assert {w for w in read_caption(without_colours) if w in SHAPES} == shapes


def test_answers_are_the_clips_that_a_vague_caption_tells_of(clips):
    answers = answers_to_vague_captions(clips['test'])
    keys = [[clip.scene.key_without(detail) for detail in DETAILS] for clip in clips['test']]
    for own, fitting in list(zip(keys, answers, strict=True))[:60]:
        for number, videos in enumerate(fitting):
            alike = [key[number] == own[number] for key in keys]
            assert videos == [c.video_id for c in compress(clips['test'], alike)]
    counts = [len(videos) for fitting in answers for videos in fitting]
    assert sum(count > 1 for count in counts) > len(counts) / 3


def test_two_figures_of_one_vague_name_are_told_apart():
    rng = np.random.default_rng(0)
    scene = next(
        scene
        for scene in (draw_scene(rng) for _ in range(1000))
        if len({figure.shape for figure in scene.figures}) < len(scene.figures)
        and scene.first.actor != scene.second.actor
    )
    assert 'another ' in describe_vaguely(scene, 'colours', rng)
    assert 'another ' not in describe_vaguely(scene, 'shapes', rng)
    assert '> another' in scene.key_without('colours')
