# DiffusionRet's generators on CLIP4Clip's seqTransf, which is stage one: all else as in diffusionret.py.
_base_ = './diffusionret.py'

model = dict(similarity=dict(_delete_=True, type='CosineSimilarity'))
