"""What can be wrong with a request to the page."""

from __future__ import annotations


class RequestError(ValueError):
    """A request that cannot be served; its message is shown to the visitor."""
