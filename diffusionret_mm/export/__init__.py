"""Encoders as ONNX graphs: written, compared with torch, and run by ONNX Runtime.

It needs the extra `export`; importing it does not.
"""

from diffusionret_mm.export.checking import compare_encoders
from diffusionret_mm.export.files import ExportError
from diffusionret_mm.export.graphs import export_encoders
from diffusionret_mm.export.onnx_encoders import OnnxEncoders

__all__ = ['ExportError', 'OnnxEncoders', 'compare_encoders', 'export_encoders']
