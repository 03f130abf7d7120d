"""Transforms whose settings follow the backbone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from diffusionret_mm.passport import Passport


class FollowsBackbone:
    """A transform that makes what the backbone reads, such as token ids or frames of its size."""

    @classmethod
    @abstractmethod
    def follow(cls, config: Mapping[str, Any], passport: Passport) -> dict[str, Any]:
        """Return the config of the transform with the settings of a backbone.

        Args:
            config: its config; settings of its own must be those of the backbone.
            passport: what the backbone wants.

        Raises:
            ValueError: if a setting of its own does not fit the backbone.
        """
