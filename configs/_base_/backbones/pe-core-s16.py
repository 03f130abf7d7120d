# PE-Core S/16 of Meta, 384 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='PE-Core-S-16-384', pretrained='meta')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
