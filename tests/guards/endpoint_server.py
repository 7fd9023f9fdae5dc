"""A small HTTP server on loopback that does what a test says, down to the bytes."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """One request as it came. `connection` counts the server's connections from 1."""

    connection: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What goes back. `raw` goes out as it is; `hang` waits for the client to leave; `close` ends the connection."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    hang: bool = False
    close: bool = False

    @property
    def sent(self) -> bytes:
        if self.raw is not None:
            return self.raw
        headers = {"Content-Length": str(len(self.body)), "Content-Type": "application/json", **self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Server:
    """`answer` says what each request gets. Use it as an async context."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self._answer = answer
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.hanging = asyncio.Event()
        self._all_closed = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def closed(self) -> None:
        """Until the last connection has been closed."""
        async with asyncio.timeout(30):
            await self._all_closed.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self._all_closed.clear()
        number = self.connections
        try:
            while await self._one(number, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.open -= 1
            if not self.open:
                self._all_closed.set()

    async def _one(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(number, head[0].split()[1], headers, json.loads(body))
        self.asked.append(asked)
        reply = self._answer(asked)
        if not reply.hang or reply.raw is not None:
            writer.write(reply.sent)
            await writer.drain()
        if reply.hang:
            self.hanging.set()
            await reader.read()
            return False
        return not reply.close


def said(content: Any, **more: Any) -> Reply:
    """A chat completion."""
    return Reply(json.dumps({"choices": [{"message": {"content": content}, **more}]}).encode())


def likely(*places: tuple[str, Mapping[str, float]]) -> dict[str, Any]:
    """A chat completion's log-probabilities: at each place the token written and the likeliest ones."""
    return {
        "content": [
            {"token": text, "logprob": 0.0, "top_logprobs": [{"token": t, "logprob": lp} for t, lp in top.items()]}
            for text, top in places
        ]
    }


def completed(text: str, *places: tuple[str, Mapping[str, float]]) -> Reply:
    """A completion."""
    logprobs = {"tokens": [text for text, _ in places], "top_logprobs": [dict(top) for _, top in places]}
    return Reply(json.dumps({"choices": [{"text": text, "logprobs": logprobs if places else None}]}).encode())


def moderated(scores: Mapping[str, float | None], flagged: bool = False, **flags: bool) -> Reply:
    """A moderation."""
    result = {"flagged": flagged, "categories": flags, "category_scores": scores}
    return Reply(json.dumps({"results": [result]}).encode())
