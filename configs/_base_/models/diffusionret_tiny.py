# A model of 64-pixel frames that two CPU cores train from random weights in minutes.
_base_ = './diffusionret_vit-b32.py'

width = 128

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,  # the base names an architecture
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
    ),
    temporal=dict(width=width, num_layers=2, head_width=32, position_std=1.0, init_from_text=False),
    similarity=dict(width=width),
    generator=dict(denoiser=dict(width=width)),
)
