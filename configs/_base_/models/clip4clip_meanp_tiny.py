# CLIP4Clip's meanP on the tiny backbone: the mean of the frames, each on its own.
_base_ = './clip4clip_tiny.py'

model = dict(temporal=None)
