"""What address an endpoint may have, and the key that is sent there."""

import os
import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from guards.loading import GuardConfigError

_KEY = re.compile(r"[!-~]+")


def checked_url(url: str) -> str:
    """`url` without a slash at its end.

    Raises:
        ValueError: not http(s), no host, or it holds a user, a password, a query or a fragment. The message does not
            repeat it, since it may hold a password.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("not an address: write it like http://127.0.0.1:8000/v1")
    if "@" in parts.netloc:
        raise ValueError("a user or password in it would be stored with the run: name the key's variable in key_env")
    if parts.query or parts.fragment:
        raise ValueError("leave out what follows the path: write it like http://127.0.0.1:8000/v1")
    return url.rstrip("/")


def is_plain(url: str) -> bool:
    """Whether what is sent there crosses a network that others can read."""
    return urlsplit(url).scheme == "http" and not is_loopback(url)


def is_loopback(url: str) -> bool:
    """Whether the host is this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def key_from(variable: str, url: str) -> str:
    """The key that an environment variable holds.

    Raises:
        GuardConfigError: it is not set, or holds what no key does. The message never holds the key.
    """
    key = os.environ.get(variable, "")
    if not key:
        raise GuardConfigError(f"endpoint {url}: key_env: the environment variable {variable} is not set: export it")
    if not _KEY.fullmatch(key):
        raise GuardConfigError(
            f"endpoint {url}: key_env: {variable} holds a space, a line end or something outside ASCII: export it anew"
        )
    return key
