# DiffusionRet in the comparison on shapes: 8 epochs of stage one, as many as the others train, and
# 3 of stage two on top.
_base_ = [
    '../_base_/models/diffusionret_tiny.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]

model = dict(num_negatives=63)

stage_two_epochs = 3
train_cfg = dict(max_epochs=_base_.max_epochs + stage_two_epochs)
custom_hooks = [
    dict(
        type='StageSwitchHook',
        begin=_base_.max_epochs,
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
            clip_grad=dict(max_norm=1.0),
            constructor='RoleOptimWrapperConstructor',
        ),
        param_scheduler=[
            dict(
                type='CosineAnnealingLR', begin=0, end=stage_two_epochs, convert_to_iter_based=True
            ),
        ],
    ),
    dict(type='FeatureCacheHook'),
]
