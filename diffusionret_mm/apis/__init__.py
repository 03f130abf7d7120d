"""What the command line tools do, callable from Python."""

from diffusionret_mm.apis.run import test_retriever, train_retriever

__all__ = ['test_retriever', 'train_retriever']
