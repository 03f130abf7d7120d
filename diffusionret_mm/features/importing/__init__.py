"""Features that other programs made, brought into the project's one format.

`sources` finds the reader of each source, `arrays`, `tables` and `clip_retrieval` read them as
`items`, `spool` keeps the items of a side and counts what is wrong, `pairs` and `matching` put
texts and videos together, and `writing` writes the folder that `FeatureDataset` reads.
"""

from diffusionret_mm.features.importing.items import FIELDS, SIDES, ImportFeaturesError
from diffusionret_mm.features.importing.sources import Sources
from diffusionret_mm.features.importing.spool import POOLED_RULES
from diffusionret_mm.features.importing.writing import import_features

__all__ = [
    'FIELDS',
    'POOLED_RULES',
    'SIDES',
    'ImportFeaturesError',
    'Sources',
    'import_features',
]
