# OpenAI's ViT-L/14; encoded in chunks, whose activations are computed again.
_base_ = './diffusionret_vit-b32.py'

width = 768
model = dict(
    backbone=dict(arch='ViT-L-14-quickgelu'),
    temporal=dict(width=width),
    similarity=dict(width=width),
    generator=dict(denoiser=dict(width=width)),
    encode_chunk=8,
)
