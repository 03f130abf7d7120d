# Weighted token interaction alone on the tiny backbone and temporal module of DiffusionRet.
_base_ = './xpool_tiny.py'

model = dict(similarity=dict(_delete_=True, type='WeightedTokenInteraction', width=_base_.width))
