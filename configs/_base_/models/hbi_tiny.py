# HBI on the tiny backbone and temporal module of DiffusionRet.
_base_ = './drl_tiny.py'

model = dict(type='HBI', estimator='work_dirs/banzhaf_estimator_shapes.pth')
