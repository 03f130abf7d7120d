# CLIP4Clip's seqTransf on OpenAI's ViT-B/32.
_base_ = './xpool_vit-b32.py'

model = dict(
    temporal=dict(type='TemporalTransformer', width=_base_.width, num_layers=4),
    similarity=dict(_delete_=True, type='CosineSimilarity'),
)
