# HBI: weighted token interaction that learns from Banzhaf interactions. The estimator is trained
# first, once for all data sets:
# python tools/train_banzhaf_estimator.py configs/drl/drl_msrvtt.py work_dirs/banzhaf_estimator.pth
model = dict(
    type='HBI',
    similarity=dict(type='WeightedTokenInteraction', width=None),
    loss=dict(type='ContrastiveLoss'),
    estimator='work_dirs/banzhaf_estimator.pth',
)
