"""Serves what `export.py` wrote, on this machine. Knows no Keras.

`python -m serving.server FOLDER --port 8000`, in the folder of the examples.
"""

import argparse
import socket
from pathlib import Path

import uvicorn

from serving.app import make_app
from serving.onnx_scorer import onnx_scorer
from serving.ranker import Items, Ranker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    arguments = parser.parse_args()

    items = Items.load(arguments.folder / "items.json")
    score = onnx_scorer(arguments.folder / "model.onnx")
    # TCP by name: without it asyncio leaves Nagle's algorithm on, and each
    # answer waits 40 ms for the client's acknowledgement.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        # As create_server does: a port is free at once after a restart.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", arguments.port))
        listening.listen()
        # From here on requests wait; whoever started this may send them.
        port = listening.getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
        config = uvicorn.Config(
            make_app(Ranker(items, score)), log_level="warning"
        )
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
