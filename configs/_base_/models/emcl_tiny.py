# EMCL-Net on the tiny backbone and temporal module of DiffusionRet.
_base_ = './xpool_tiny.py'

model = dict(similarity=dict(_delete_=True, type='EMSimilarity'))
