"""Parts that a reader of a guide writes."""

import sys

from mmaction.registry import DATASETS, MODELS


def forget_parts(*modules):
    """Unregister what these modules registered, so that the next test can register it again."""
    for registry in (DATASETS, MODELS):
        for name, part in list(registry.module_dict.items()):
            if part.__module__ in modules:
                del registry.module_dict[name]
    for module in modules:
        sys.modules.pop(module, None)
