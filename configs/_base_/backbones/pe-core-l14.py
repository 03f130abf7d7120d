# PE-Core L/14 of Meta, 336 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='PE-Core-L-14-336', pretrained='meta')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
