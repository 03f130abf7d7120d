# OpenAI's CLIP ViT-L/14, 224 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='ViT-L-14-quickgelu', pretrained='openai')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
