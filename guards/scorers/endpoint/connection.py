"""The way to a server: a bounded pool of kept connections, retries, a bound on time and on size.

No message of an error holds the key, the question or the server's text: they end up in stored runs.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from guards.scorers.endpoint.address import is_loopback
from guards.scorers.endpoint.retry import RETRIED, Retry, retry_after_s

MAX_ANSWER_BYTES = 1 << 20
_KEPT_S = 60.0


class EndpointError(RuntimeError):
    """The server gave no answer that can be used; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a 200, and when its first attempt was sent and it was read to the end (monotonic ns)."""

    body: bytes
    started_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class _Failure:
    why: str
    again: bool = True
    retry_after_s: float | None = None


class Connection:
    """Posts JSON to one server, `connections` at a time; what is asked beyond that waits its turn.

    An attempt that takes longer than `request_timeout_ms` is given up, and not made again. Cancelling a post closes
    its connection. Redirects are not followed; no proxy stands before this machine itself.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        request_timeout_ms: float = 5000.0,
        retry: Retry | None = None,
        connections: int = 16,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Nothing is connected yet."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._url, self._timeout_ms, self.now_ns = url, request_timeout_ms, now_ns
        self._retry = Retry() if retry is None else retry
        self._places = asyncio.Semaphore(connections)
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=None,  # an attempt is timed as a whole: a server that drips is too slow, too
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEPT_S
            ),
            follow_redirects=False,
            trust_env=not is_loopback(url),
        )

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Post `body` as JSON and read the answer.

        Raises:
            EndpointError: no 200, even after the retries; or an answer too large, or compressed.
            TimeoutError: an attempt took longer than `request_timeout_ms`.
        """
        content, started_ns, failures = msgspec.json.encode(body), 0, 0
        while True:
            async with self._places:
                started_ns = started_ns or self.now_ns()
                found = await self._attempt(path, content)
            if isinstance(found, bytes):
                return Answer(found, started_ns, self.now_ns())
            failures += 1
            wait_s = self._retry.wait_s(failures, found.retry_after_s) if found.again else None
            if wait_s is None:
                raise EndpointError(found.why if failures == 1 else f"{found.why}, asked {failures} times")
            await asyncio.sleep(wait_s)

    async def _attempt(self, path: str, content: bytes) -> bytes | _Failure:
        try:
            async with (
                asyncio.timeout(self._timeout_ms / 1e3),
                self._client.stream("POST", self._url + path, content=content) as response,
            ):
                body = await _bounded(response)
                return body if response.status_code == HTTPStatus.OK else _failure(response)
        except TimeoutError:
            raise TimeoutError(f"the endpoint gave no answer in {self._timeout_ms:g} ms") from None
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            return _Failure(f"no connection: {type(error).__name__}")

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


async def _bounded(response: httpx.Response) -> bytes:
    """The whole body, so that the connection can be kept."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        # It may unpack to a thousand times its size.
        raise EndpointError("the answer is compressed, which was not asked for")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise EndpointError(f"the answer is over {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _failure(response: httpx.Response) -> _Failure:
    code = response.status_code
    known = HTTPStatus(code).phrase if code in set(HTTPStatus) else "unknown status"
    why = f"HTTP {code} {known}" + (": redirects are not followed" if 300 <= code < 400 else "")
    return _Failure(why, code in RETRIED, retry_after_s(response.headers.get("Retry-After")))
