# SigLIP 2 ViT-B/16 of Google, 384 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='ViT-B-16-SigLIP2-384', pretrained='webli')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
