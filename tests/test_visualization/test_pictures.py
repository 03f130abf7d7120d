import numpy as np
import pytest

from diffusionret_mm.models.similarity import CosineSimilarity
from diffusionret_mm.visualization import PictureError, read_sample, to_image


@pytest.fixture
def pictures(tiny_model, make_pictures):
    tiny_model.set_stage('generation')
    return make_pictures(tiny_model)


def test_a_picture_repeats(pictures):
    for draw in (
        lambda: pictures.diffusion([4], 'v2t'),
        lambda: pictures.attention(9),  # its video has a padded frame
    ):
        np.testing.assert_array_equal(to_image(draw()), to_image(draw()))


def test_candidates_come_in_their_final_order_with_the_truth_below(pictures, texts_of):
    ranks = pictures.ranks()['', 't2v'].average
    query = int(ranks.argmax())
    assert ranks[query] > 2
    texts = texts_of(pictures.retrieval(query, top_k=2))
    order = pictures.scored.t2v[query].argsort(descending=True).tolist()
    names = [text.splitlines()[-3] for text in texts if 'final score' in text]
    assert names == [f'video{row}' for row in [*order[:2], query // 2]]
    assert f'{ranks[query]:g}' in texts
    assert sum('ground truth' in text for text in texts) == 1


def test_the_truths_of_a_video_are_its_captions(pictures):
    axes = pictures.diffusion([1], 'v2t').axes[0]
    best = pictures.scored.similarity[:, 1].topk(4).indices
    green = [bar.get_facecolor()[1] > 0.61 for bar in axes.patches]
    assert green == (pictures.split.video_of_text[best] == 1).tolist()


def test_the_hardest_come_first_and_successes_are_left_out(pictures):
    ranks = pictures.ranks()['', 't2v'].average
    hardest = pictures.hardest_texts(10)
    assert hardest == [row for row in ranks.argsort(descending=True, stable=True) if ranks[row] > 1]
    assert pictures.hardest_texts(1) == hardest[:1]


def test_wrong_rows_and_models(pictures, tiny_model, make_pictures):
    with pytest.raises(PictureError, match='no query 10: the split has 10 texts'):
        pictures.retrieval(10)
    with pytest.raises(PictureError, match='no query -1: the split has 5 videos'):
        pictures.diffusion([-1], 'v2t')
    tiny_model.similarity = CosineSimilarity()
    tiny_model.set_stage('discrimination')
    with pytest.raises(PictureError, match='DiffusionRet with CosineSimilarity weighs no frames'):
        pictures.attention(0)


def test_frames_are_those_of_the_video_without_padding(pictures):
    assert pictures.frames(4).shape == (3, 16, 16, 3)
    assert (pictures.frames(4) == 160).all()
    with pytest.raises(RuntimeError, match="Item 1 .* is the video 'video1'; 'other' was expected"):
        read_sample(pictures.dataset, 1, 'other')
