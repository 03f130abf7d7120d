# DiffusionRet's generators on EMCL-Net's similarity, which is stage one: all else as in diffusionret.py.
_base_ = './diffusionret.py'

model = dict(similarity=dict(_delete_=True, type='EMSimilarity'))
