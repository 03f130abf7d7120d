# OpenAI's CLIP ViT-B/32, 224 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='ViT-B-32-quickgelu', pretrained='openai')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
