"""What users do today: two runs of `vllm bench serve` against vLLM's own server, one with the guard, one without.

A delay before generation is a middleware of the server, switched on by a header of the request; the CPU
burner runs beside the treated run. A run gets a number of requests that fills its time at the rate of the
run before it. The starting of the server and of each `vllm bench serve` is not counted as machine time.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from guards.burner import CpuBurner
from guards.waiting import until
from profiler.errors import UserError

DELAY_HEADER = "x-delay-ms"
USERS = 4
OUTPUT_TOKENS = 24
_ROOT = Path(__file__).parent.parent
_START_S = 300
_STOP_S = 20


class DelayMiddleware:
    """Holds a request back before it is generated, for as many ms as its header says."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        delay_ms = dict(scope.get("headers", ())).get(DELAY_HEADER.encode())
        if delay_ms is not None:
            await until(time.monotonic_ns() + round(float(delay_ms) * 1e6), time.monotonic_ns)
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class BenchRun:
    """One run of `vllm bench serve`: its own figures."""

    mean_ttft_ms: float
    mean_e2el_ms: float
    requests: int
    duration_s: float

    @property
    def rate_hz(self) -> float:
        """Requests answered per second."""
        return self.requests / self.duration_s


@dataclass(frozen=True)
class NaiveRepeat:
    """Three runs back to back, the plain one in the middle: two estimates of two runs each."""

    delay: BenchRun
    plain: BenchRun
    burner: BenchRun

    @property
    def direct_ms(self) -> float:
        """The delay as two runs tell it: difference of the mean TTFTs."""
        return self.delay.mean_ttft_ms - self.plain.mean_ttft_ms

    @property
    def induced_percent(self) -> float:
        """The burner's cost as two runs tell it: difference of the mean E2ELs, % of the plain run's."""
        return 100 * (self.burner.mean_e2el_ms / self.plain.mean_e2el_ms - 1)

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


class VllmServer:
    """vLLM's OpenAI server in a process of its own. Make one with `await VllmServer.start(...)`."""

    def __init__(self, process: Process, url: tuple[str, int], model: Path, folder: Path) -> None:
        self._process, self._url, self._model, self._folder = process, url, model, folder
        self._runs = 0

    @classmethod
    async def start(cls, model: Path, settings: Mapping[str, Any], folder: Path) -> "VllmServer":
        """Start it with engine arguments by vLLM's names; logs and results go to `folder`.

        Raises:
            UserError: it did not come up; the end of its log is in the message.
        """
        url = ("127.0.0.1", _free_port())
        flags = [word for name, value in settings.items() for word in _flag(name, value)]
        middleware = ["--middleware", f"{__name__}.{DelayMiddleware.__name__}"]
        where = ["--host", url[0], "--port", str(url[1])]
        module = "vllm.entrypoints.openai.api_server"
        words = [module, "--model", str(model), *where, *flags, *middleware, "--no-enable-prefix-caching"]
        server = cls(await _python(words, folder / "server.log"), url, model, folder)
        try:
            await server._ready()
        except BaseException:
            await server.close()
            raise
        return server

    @property
    def pid(self) -> int:
        """The server's own process."""
        return self._process.pid

    async def _ready(self) -> None:
        deadline = time.monotonic() + _START_S
        while not await asyncio.to_thread(_healthy, f"http://{self._url[0]}:{self._url[1]}/health"):
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise UserError(f"vLLM's server did not come up: {_tail(self._folder / 'server.log')}")
            await asyncio.sleep(0.5)

    async def bench(self, requests: int, input_tokens: int, *, seed: int = 0, delay_ms: float = 0.0) -> BenchRun:
        """One run of `vllm bench serve` against this server.

        Raises:
            UserError: it failed, or some request did.
        """
        self._runs += 1
        name = f"bench-{self._runs}"
        words = self._bench_words(requests, input_tokens, seed, f"{name}.json")
        if delay_ms:
            words += ["--header", f"{DELAY_HEADER}={delay_ms}"]
        log = self._folder / f"{name}.log"
        process = await _python(words, log)
        try:
            status = await process.wait()
        finally:
            await _end(process, signal.SIGKILL)
        if status:
            raise UserError(f"vllm bench serve ended with status {status}: {_tail(log)}")
        found = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        if found["completed"] != requests:
            raise UserError(f"vllm bench serve: {found['failed']} of {requests} requests failed: {_tail(log)}")
        return BenchRun(found["mean_ttft_ms"], found["mean_e2el_ms"], requests, found["duration"])

    def _bench_words(self, requests: int, input_tokens: int, seed: int, result: str) -> list[str]:
        options = {
            "model": self._model,
            "host": self._url[0],
            "port": self._url[1],
            "dataset-name": "random",
            "random-input-len": input_tokens,
            "random-output-len": OUTPUT_TOKENS,
            "num-prompts": requests,
            "num-warmups": USERS,
            "max-concurrency": USERS,
            "request-rate": "inf",
            "temperature": 0,
            "seed": seed,
            "percentile-metrics": "ttft,tpot,itl,e2el",
            "result-dir": self._folder,
            "result-filename": result,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return ["benchmarks.vllm_cli", "bench", "serve", *words, "--ignore-eos", "--save-result", "--disable-tqdm"]

    async def close(self) -> None:
        """Stop the server and its engine."""
        await _end(self._process, signal.SIGTERM)


@dataclass
class TwoRuns:
    """Naive estimates, one after the other, each run as long as it should be."""

    server: VllmServer
    burner: CpuBurner
    delay_ms: float
    input_tokens: int
    rate_hz: float = 0.0

    async def pilot(self, requests: int = 24) -> None:
        """A short run for the rate of requests."""
        self.rate_hz = (await self.server.bench(requests, self.input_tokens)).rate_hz

    async def repeat(self, run_s: float, seed: int, *, backwards: bool) -> NaiveRepeat:
        """Three runs of about `run_s` each: delay, plain, burner, or backwards."""
        order = ["delay", "plain", "burner"]
        found = {name: await self._run(name, run_s, seed) for name in (order[::-1] if backwards else order)}
        return NaiveRepeat(**found)

    async def _run(self, name: str, run_s: float, seed: int) -> BenchRun:
        requests = max(USERS, round(self.rate_hz * run_s))
        delay_ms = self.delay_ms if name == "delay" else 0.0
        if name == "burner":
            self.burner.resume()
        try:
            run = await self.server.bench(requests, self.input_tokens, seed=seed, delay_ms=delay_ms)
        finally:
            self.burner.pause()
        self.rate_hz = run.rate_hz
        return run


async def _python(words: list[str], log: Path) -> Process:
    # A session of its own: a Ctrl-C reaches the benchmark alone, which then ends its processes in order.
    with log.open("wb") as out:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", *words, cwd=_ROOT, stdout=out, stderr=out, start_new_session=True
        )


async def _end(process: Process, with_signal: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(with_signal)
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _flag(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    return [flag] if value is True else [flag, str(value)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _tail(log: Path) -> str:
    text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
    return "…" + text[-600:]


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for logs and results, gone in the end."""
    return tempfile.TemporaryDirectory(prefix="two-runs-")
