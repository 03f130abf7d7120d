# OpenAI's ViT-L/14, and the temporal transformer that belongs on it.
width = 768

backbone = dict(type='OpenCLIPBackbone', arch='ViT-L-14-quickgelu', pretrained='openai')
temporal = dict(type='TemporalTransformer', width=width, num_layers=4)
