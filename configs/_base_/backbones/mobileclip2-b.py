# MobileCLIP 2 B of Apple, 224 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='MobileCLIP2-B', pretrained='dfndr2b')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
