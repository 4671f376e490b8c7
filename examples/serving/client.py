"""Asks the server for rankings, and measures how long it takes."""

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

Asked = dict[str, Any]  # the body of a request


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of a server of a folder, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server", str(folder.absolute())],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"the server ended with {process.wait()}")
        yield address
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def rank(client: httpx2.Client, asked: Asked) -> dict[str, Any]:
    response = client.post("/rank", json=asked)
    response.raise_for_status()
    return response.json()


def measure(requests: Sequence[Any], ask: Callable[[Any], Any]) -> np.ndarray:
    """Seconds of each request, one after another."""
    seconds = []
    for request in requests:
        began = time.perf_counter()
        ask(request)
        seconds.append(time.perf_counter() - began)
    return np.array(seconds)


def measure_clients(
    address: str, requests: Sequence[Asked], clients: int
) -> tuple[np.ndarray, float]:
    """Seconds of each request of some clients, and requests in a second.

    Each client has a connection of its own, and asks again once it is
    answered. The first requests, which open the connections, do not count.
    """

    def work(own: Sequence[Asked]) -> np.ndarray:
        with httpx2.Client(base_url=address) as client:
            rank(client, own[0])
            return measure(own, lambda asked: rank(client, asked))

    shares = [requests[i::clients] for i in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = np.concatenate([*pool.map(work, shares)])
    rate = (len(requests) + clients) / (time.perf_counter() - began)
    return seconds, rate


def milliseconds(seconds: np.ndarray) -> list[str]:
    """The 50th, 95th and 99th percentile, to be shown."""
    return [f"{p * 1e3:.1f}" for p in np.percentile(seconds, [50, 95, 99])]
