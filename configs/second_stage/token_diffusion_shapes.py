# Words by frames, re-ranked by a diffusion with the published loss; the mean of four draws.
# Stage two alone: python tools/train.py configs/second_stage/token_diffusion_shapes.py --cfg-options load_from=CHECKPOINT
# with a checkpoint of stage one of configs/diffusionret_shapes.py.
_base_ = [
    '../_base_/backbones/tiny_convnext.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/stage_two_shapes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    generator=dict(
        _delete_=True,
        type='DiffusionGenerator',
        encoder=dict(type='TokenPairEncoder', width=None),
        denoiser=dict(type='CandidateListDenoiser'),
    ),
    num_draws=4,
    negatives='sampled_gallery',
    gallery_sizes=(300, 600),
    num_candidates=16,
)
default_hooks = dict(
    stage_switch=_base_.stage_switch,
    feature_cache=_base_.feature_cache,
    calibrate=dict(type='CalibrateHook'),
)
