# OpenAI's ViT-B/32, and the temporal transformer that belongs on it.
width = 512

backbone = dict(type='OpenCLIPBackbone', arch='ViT-B-32-quickgelu', pretrained='openai')
temporal = dict(type='TemporalTransformer', width=width, num_layers=4)
