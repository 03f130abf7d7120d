# HBI on OpenAI's ViT-B/32. The estimator is trained first, once for all data sets:
# python tools/train_banzhaf_estimator.py configs/drl/drl_msrvtt.py work_dirs/banzhaf_estimator.pth
_base_ = './drl_vit-b32.py'

model = dict(
    type='HBI',
    backbone=dict(freeze_patch_embedding=True),
    similarity=dict(hidden_width=2 * _base_.width),
    estimator='work_dirs/banzhaf_estimator.pth',
)
