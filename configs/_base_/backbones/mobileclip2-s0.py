# MobileCLIP 2 S0 of Apple, 256 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='MobileCLIP2-S0', pretrained='dfndr2b')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
