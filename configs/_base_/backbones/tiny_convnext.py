# As tiny.py, with convolutions in place of patches for the frames: patches of 16 pixels do not tell a
# circle from a cross.
width = 128

backbone = dict(
    type='OpenCLIPBackbone',
    arch=dict(
        embed_dim=width,
        vision_cfg=dict(
            image_size=64, timm_model_name='test_convnext3', timm_pool='', timm_proj='linear'
        ),
        text_cfg=dict(context_length=32, width=width, heads=4, layers=2, no_causal_mask=True),
        init_logit_scale=4.0,
    ),
    pretrained=None,
    freeze_patch_embedding=False,
    # Embeddings at CLIP's scale are drowned by what is trained from scratch.
    word_std=1.0,
)
temporal = dict(
    type='TemporalTransformer',
    width=width,
    num_layers=2,
    head_width=32,
    position_std=1.0,
    init_from_text=False,
)
