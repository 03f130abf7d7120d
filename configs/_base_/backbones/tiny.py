# Towers for frames of 64 pixels that two CPU cores train from random weights in minutes, and the
# temporal transformer that belongs on them.
width = 128

backbone = dict(
    type='OpenCLIPBackbone',
    arch=dict(
        embed_dim=width,
        vision_cfg=dict(
            image_size=64, patch_size=16, width=width, layers=2, head_width=32, mlp_ratio=2.0
        ),
        text_cfg=dict(context_length=32, width=width, heads=4, layers=2, no_causal_mask=True),
        init_logit_scale=4.0,
    ),
    pretrained=None,
    freeze_patch_embedding=False,
    # Embeddings at CLIP's scale are drowned by what is trained from scratch.
    word_std=1.0,
    patch_position_std=0.3,
)
temporal = dict(
    type='TemporalTransformer',
    width=width,
    num_layers=2,
    head_width=32,
    position_std=1.0,
    init_from_text=False,
)
