# CLIP4Clip's seqLSTM on the tiny backbone.
_base_ = './clip4clip_tiny.py'

model = dict(temporal=dict(_delete_=True, type='TemporalLSTM', width=_base_.width))
