# The generators of DiffusionRet behind a score matrix of another program, imported with the features
# that the generators read (tools/import_features.py --scores). There is no first stage to train.
_base_ = './diffusionret_features.py'

model = dict(similarity=dict(_delete_=True, type='ImportedScores'), negatives='training_set')
train_cfg = dict(max_epochs=20)
default_hooks = dict(stage_switch=dict(begin=0))
