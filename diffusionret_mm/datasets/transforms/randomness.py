"""Which transforms draw at random, so that their result must not be kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RANDOM_TRANSFORMS = ('AugmentFrames', 'ShuffleFrames', 'ThinFrames')


def draws_at_random(transform: Mapping[str, Any]) -> bool:
    """Tell whether the config of a transform, or of one inside it, draws frames at random.

    Examples:
        >>> draws_at_random(dict(type='Wrapper', transforms=[dict(type='ShuffleFrames')]))
        True
    """
    nested = [value for value in transform.values() if isinstance(value, Mapping)]
    lists = [value for value in transform.values() if isinstance(value, list | tuple)]
    nested += [item for items in lists for item in items if isinstance(item, Mapping)]
    own = transform.get('rule') == 'random' or transform.get('type') in RANDOM_TRANSFORMS
    return own or any(map(draws_at_random, nested))
