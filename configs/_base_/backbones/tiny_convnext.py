# The towers of tiny.py with convolutions in place of patches for the frames. Patches of 16 pixels do not
# tell a circle from a cross.
_base_ = './tiny.py'

backbone = dict(
    arch=dict(
        vision_cfg=dict(
            _delete_=True,
            image_size=64,
            timm_model_name='test_convnext3',
            timm_pool='',
            timm_proj='linear',
        )
    ),
    patch_position_std=None,
)
