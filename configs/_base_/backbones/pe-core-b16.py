# PE-Core B/16 of Meta, 224 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='PE-Core-B-16', pretrained='meta')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
