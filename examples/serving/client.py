"""Starts a server, sends it requests and measures their latency."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

Body = dict[str, Any]  # of a request


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve a folder until the block ends; yield the address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server", str(folder.absolute())],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"the server exited with {process.wait()}")
        yield address
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def rank(client: httpx2.Client, body: Body) -> dict[str, Any]:
    response = client.post("/rank", json=body)
    response.raise_for_status()
    return response.json()


def measure(requests: Sequence[Any], ask: Callable[[Any], Any]) -> np.ndarray:
    """Return the seconds of each request, sent one after another."""
    seconds = []
    for request in requests:
        start = time.perf_counter()
        ask(request)
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


def measure_clients(
    address: str, requests: Sequence[Body], clients: int
) -> tuple[np.ndarray, float]:
    """Return the seconds of each request, and the requests per second.

    Each client uses one connection and sends its next request after the
    answer. Each client's first request, which opens the connection, is not
    measured.
    """

    def work(share: Sequence[Body]) -> np.ndarray:
        with httpx2.Client(base_url=address) as client:
            rank(client, share[0])
            return measure(share, lambda body: rank(client, body))

    shares = [requests[i::clients] for i in range(clients)]
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = np.concatenate([*pool.map(work, shares)])
    rate = (len(requests) + clients) / (time.perf_counter() - start)
    return seconds, rate


def milliseconds(seconds: np.ndarray) -> list[str]:
    """Format the 50th, 95th and 99th percentiles."""
    return [f"{p * 1e3:.1f}" for p in np.percentile(seconds, [50, 95, 99])]
