import pytest
from mmaction.registry import MODELS


def test_scores_of_a_batch_a_bank_or_a_query_are_refused(features):
    similarity = MODELS.build(dict(type='ImportedScores'))
    assert similarity.is_imported
    for score in (similarity, similarity.score_gallery):
        with pytest.raises(ValueError, match="Train stage two with model.negatives='training_set'"):
            score(*features())
