# CLIP4Clip's tightTransf on the tiny backbone: a transformer over text and frames of each pair.
_base_ = './xpool_tiny.py'

model = dict(
    temporal=None,
    similarity=dict(
        _delete_=True,
        type='PairTransformer',
        width=_base_.width,
        num_layers=2,
        head_width=32,
        position_std=1.0,
        init_from_text=False,
    ),
    loss=dict(scaled=False),
)
# Its logits have no scale, so that of CLIP gets no gradient.
find_unused_parameters = True
