# DFN ViT-B/16 of Apple, 224 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='ViT-B-16', pretrained='dfn2b')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
