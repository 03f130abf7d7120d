# The test videos of shapes with their frames in random order: a model that reads time must suffer.
_base_ = '../diffusionret_shapes.py'

test_dataloader = dict(
    dataset=dict(
        pipeline=[
            {{_base_.load_frames}},
            dict(type='ShuffleFrames'),
            dict(type='TokenizeCaptions', max_words={{_base_.max_words}}),
            dict(type='PackTextVideoInputs'),
        ]
    )
)
