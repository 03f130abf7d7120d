"""Kinds of errors, on matrices small enough to count by eye."""

import torch

from diffusionret_mm.evaluation.confusions import (
    Confusions,
    KindCount,
    Relation,
    RelationCount,
    best_scores,
)

TWIN, SHAPE = Relation('reversed twin'), Relation('another shape', 'circle / cross')
# Videos 0, 1 and 2 are relatives; 3 has none.
RELATIONS = {0: {1: TWIN, 2: SHAPE}, 1: {0: TWIN}, 2: {0: SHAPE}}
OWN = torch.arange(4)


def confusions(before, after=None, own=OWN, right=None):
    right = own[:, None] == torch.arange(4) if right is None else right
    scores = [
        best_scores(torch.tensor(matrix), right, torch.arange(4), 4)
        for matrix in (before, before if after is None else after)
    ]
    return Confusions(own, RELATIONS, 'another video', *scores)


def test_errors_are_counted_by_kind_and_by_what_becomes_of_them():
    before = [
        [0.5, 0.9, 0.1, 0.1],  # its reversed twin
        [0.1, 0.9, 0.2, 0.3],  # right
        [0.1, 0.1, 0.9, 0.1],  # right
        [0.2, 0.8, 0.1, 0.7],  # another video
    ]
    after = [
        [0.9, 0.5, 0.1, 0.1],  # mended
        [0.1, 0.5, 0.2, 0.9],  # another video, made
        [0.9, 0.1, 0.8, 0.1],  # another shape, made
        [0.9, 0.8, 0.1, 0.7],  # another video still
    ]
    assert confusions(before, after).kinds() == [
        KindCount('another video', before=1, after=2, mended=0, made=1),
        KindCount('reversed twin', before=1, after=0, mended=1, made=0),
        KindCount('another shape', before=0, after=1, mended=0, made=1),
    ]


def test_a_pair_is_told_apart_whatever_else_comes_first():
    before = [
        [0.5, 0.6, 0.4, 0.9],  # its twin above, its changed twin below, another first
        [0.3, 0.4, 0.9, 0.0],  # its twin below
        [0.7, 0.0, 0.7, 0.0],  # its changed twin equal: not told apart
        [0.0, 0.0, 0.0, 1.0],
    ]
    assert confusions(before).told_apart() == [
        RelationCount(SHAPE, pairs=2, before=1, after=1),
        RelationCount(TWIN, pairs=2, before=1, after=1),
    ]


def test_equal_scores_are_errors():
    kinds = confusions([[0.0] * 4] * 4).kinds()
    assert sum(kind.before for kind in kinds) == 4


def test_another_right_answer_is_no_error():
    right = torch.eye(4, dtype=torch.bool)
    right[0, 1] = True
    found = confusions([[0.5, 0.9, 0.1, 0.2], *torch.eye(4).tolist()[1:]], right=right)
    assert sum(kind.before for kind in found.kinds()) == 0
    (shape, twin) = sorted(found.told_apart(), key=lambda row: row.relation.kind)
    assert (shape.pairs, twin.pairs) == (2, 1)


def test_a_video_has_the_best_score_of_its_captions():
    scores = torch.tensor([[0.1, 0.8, 0.3, 0.6, 0.7]])
    video_of_text = torch.tensor([0, 0, 1, 1, 2])
    own, others = best_scores(scores, video_of_text[None] == 0, video_of_text, 4)
    assert own.tolist() == scores[0, 1:2].tolist()
    wanted = torch.tensor([[float('-inf'), 0.6, 0.7, float('-inf')]])
    assert torch.equal(others, wanted)
