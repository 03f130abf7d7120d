# EVA02 B/16 of BAAI, 224 pixels, and the temporal transformer that belongs on it.
backbone = dict(type='OpenCLIPBackbone', arch='EVA02-B-16', pretrained='merged2b_s8b_b131k')
temporal = dict(type='TemporalTransformer', width=None, num_layers=4)
