# CLIP4Clip's seqTransf on the tiny backbone: frames in context, then their mean.
_base_ = './xpool_tiny.py'

model = dict(similarity=dict(_delete_=True, type='CosineSimilarity'))
