"""What the command line tools do, callable from Python."""

from diffusionret_mm.apis.indexing import IndexOptions, remove_vanished
from diffusionret_mm.apis.inferencer import TextVideoInferencer
from diffusionret_mm.apis.run import test_retriever, train_retriever
from diffusionret_mm.apis.shares import Share

__all__ = [
    'IndexOptions',
    'Share',
    'TextVideoInferencer',
    'remove_vanished',
    'test_retriever',
    'train_retriever',
]
