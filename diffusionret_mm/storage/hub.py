"""Files of the Hugging Face hub: whether they are here, how large they are, and whether it answers.

The hub's own downloads try for more than a minute before they say that there is no network.
"""

from __future__ import annotations

import time

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError

# Seconds: a question that failed sooner is asked once more, after as long.
PAUSE = 1.0


class HubError(RuntimeError):
    """The hub cannot be reached."""


def is_cached(repository: str, name: str, cache_dir: str | None = None) -> bool:
    """Tell whether a file of the hub was downloaded before.

    Args:
        repository: its repository.
        name: its name there.
        cache_dir: folder for downloads; None takes the hub's default.
    """
    return isinstance(try_to_load_from_cache(repository, name, cache_dir=cache_dir), str)


def size_on_hub(repository: str, name: str) -> int | None:
    """Ask the hub for the size of a file.

    A slow hub has the seconds of `HF_HUB_ETAG_TIMEOUT` (10) to connect and to answer, as in its own
    downloads.

    Args:
        repository: its repository.
        name: its name there.

    Returns:
        Bytes; None if the hub does not tell, or has no such file.

    Raises:
        HubError: if it cannot be reached; it says why.
    """
    start = time.monotonic()
    try:
        return _ask(repository, name)
    except HubError:
        if time.monotonic() - start > PAUSE:
            raise
    time.sleep(PAUSE)
    return _ask(repository, name)


def _ask(repository: str, name: str) -> int | None:
    url = hf_hub_url(repository, name)
    try:
        return get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT).size
    except HfHubHTTPError:  # it has answered; the download itself will say what is wrong
        return None
    except Exception as error:  # which classes, depends on the version of the hub's library
        reason = ' '.join(str(error).split()).rstrip('.')
        raise HubError(
            f'{constants.ENDPOINT} cannot be reached: {type(error).__name__}, {reason}'
        ) from error
