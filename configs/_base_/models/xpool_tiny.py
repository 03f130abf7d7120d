# X-Pool on the tiny backbone and temporal module of DiffusionRet, to be compared with it.
_base_ = './diffusionret_tiny.py'

model = dict(
    _delete_=True,
    type='TextVideoRetriever',
    backbone={{_base_.model.backbone}},
    temporal={{_base_.model.temporal}},
    similarity=dict(type='XPool', width=_base_.width, dropout=0.3),
    loss=dict(type='ContrastiveLoss'),
)
