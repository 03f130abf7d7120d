# The recipe of CLIP4Clip, DRL, EMCL-Net and HBI: 5 epochs in batches of 128. CLIP at 1e-6, as in
# two_stage.py: the published 1e-7 belongs to half-precision weights.
_base_ = './one_stage.py'

optim_wrapper = dict(
    optimizer=dict(lr=1e-4), paramwise_cfg=dict(backbone_lr_mult=0.01, decay='all_but_biases')
)
auto_scale_lr = dict(base_batch_size=128)
