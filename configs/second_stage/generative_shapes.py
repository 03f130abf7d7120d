# No contrastive loss: the loss of the generators trains the extractor too, from random weights.
# The similarity has no parameters and is not trained, so all candidates are re-ranked.
_base_ = [
    '../_base_/backbones/tiny_convnext.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/one_stage_shapes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='GenerativeRet',
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    similarity=dict(_delete_=True, type='CosineSimilarity'),
    generator=dict(num_sample_steps=5),  # for all candidates, not for 32
    # With the published scale, 100, the loss stayed above that of guessing.
    loss=dict(generation=dict(scale=20.0)),
    num_negatives=63,
    num_candidates=10_000,
    temperature=20.0,  # the scale of the loss: the distribution that is trained
)
default_hooks = dict(calibrate=dict(type='CalibrateHook'))
