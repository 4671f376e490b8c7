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
    with socket.create_server(("127.0.0.1", arguments.port)) as listening:
        # From here on requests wait; whoever started this may send them.
        port = listening.getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
        config = uvicorn.Config(
            make_app(Ranker(items, score)), log_level="warning"
        )
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
