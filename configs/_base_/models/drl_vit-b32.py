# Weighted token interaction of DRL on OpenAI's ViT-B/32, with its narrower weight networks.
_base_ = './clip4clip_vit-b32.py'

model = dict(
    similarity=dict(
        _delete_=True,
        type='WeightedTokenInteraction',
        width=_base_.width,
        hidden_width=_base_.width,
    )
)
