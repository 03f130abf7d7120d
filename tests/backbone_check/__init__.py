"""The comparison of `OpenCLIPBackbone` with open_clip itself, architecture by architecture."""

from backbone_check.comparison import Row, check_architecture
from backbone_check.stand_ins import make_tokenizer

__all__ = ['Row', 'check_architecture', 'make_tokenizer']
