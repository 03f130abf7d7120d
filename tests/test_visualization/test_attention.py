import numpy as np
import pytest

from diffusionret_mm.visualization import WordFrameMatch, draw_attention, to_image


def match(frames=4, words=('[start]', 'costs', '$5', '$', '[end]')):
    return WordFrameMatch(
        words=words,
        cosines=np.arange(len(words) * frames).reshape(len(words), frames) / 40,
        word_weights=np.full(len(words), 1 / len(words)),
        frame_weights=np.full(frames, 1 / frames),
    )


def test_weights_are_bars_and_words_are_written_as_they_are(grey_frames, texts_of):
    attention = np.array([0.7, 0.1, 0.1, 0.1])
    figure = draw_attention('it costs $5 or $6', grey_frames(), attention, match())
    bars = next(axes for axes in figure.axes if axes.get_ylabel() == 'weight').patches
    assert [bar.get_height() for bar in bars] == [*attention, 0.25, 0.25, 0.25, 0.25]
    texts = texts_of(figure)
    assert {'it costs $5 or $6', '$5', '[end]', 'text-frame attention'} <= set(texts)
    assert to_image(figure).shape[1] == 800


@pytest.mark.parametrize('frames', [1, 64])
def test_one_part_alone_and_any_number_of_frames(frames, grey_frames, texts_of):
    figure = draw_attention('a box', grey_frames(frames), np.full(frames, 1 / frames))
    assert 'frame weight of WTI' not in texts_of(figure)
    figure = draw_attention('a box', grey_frames(frames), match=match(frames))
    assert 'text-frame attention' not in texts_of(figure)


def test_what_cannot_be_drawn(grey_frames):
    with pytest.raises(ValueError, match='neither attention nor a match'):
        draw_attention('a box', grey_frames())
    with pytest.raises(ValueError, match='attention is of 3 frames, but 4 frames'):
        draw_attention('a box', grey_frames(), np.ones(3))
    with pytest.raises(ValueError, match='frame_weights is of 2 frames, but 4'):
        draw_attention('a box', grey_frames(), match=match(2))
