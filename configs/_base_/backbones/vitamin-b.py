# ViTamin-B, 224 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='ViTamin-B', pretrained='datacomp1b')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
