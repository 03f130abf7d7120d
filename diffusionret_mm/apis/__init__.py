"""What the command line tools do, callable from Python."""

from diffusionret_mm.apis.indexing import remove_vanished
from diffusionret_mm.apis.inferencer import TextVideoInferencer
from diffusionret_mm.apis.run import test_retriever, train_retriever

__all__ = ['TextVideoInferencer', 'remove_vanished', 'test_retriever', 'train_retriever']
