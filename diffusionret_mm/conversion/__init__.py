"""From published checkpoints to the state dicts of this project."""

from diffusionret_mm.conversion.convert import Conversion, ConversionError, convert_state_dict
from diffusionret_mm.conversion.layouts import LAYOUTS
from diffusionret_mm.conversion.reading import read_state_dict

__all__ = [
    'LAYOUTS',
    'Conversion',
    'ConversionError',
    'convert_state_dict',
    'read_state_dict',
]
