# TeachText's distillation: a student that learns the scores of frozen teachers.
model = dict(
    type='TeachTextDistillation',
    backbone=dict(freeze_patch_embedding=False),
    similarity=dict(type='CosineSimilarity'),
    loss=dict(type='ContrastiveLoss'),
)
