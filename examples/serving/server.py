"""Serves an exported folder on this machine, without Keras.

`python -m serving.server FOLDER --port 8000`, run in the folder `examples`.
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
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    arguments = parser.parse_args()

    items = Items.load(arguments.folder / "items.json")
    score = onnx_scorer(arguments.folder / "model.onnx")
    # With an explicit protocol asyncio disables Nagle's algorithm, which would
    # delay each answer by 40 ms until the client's acknowledgement.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        # Allows an immediate restart on the same port, as create_server does.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", arguments.port))
        listener.listen()
        # Requests are queued from here on, so the address can be printed.
        port = listener.getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
        config = uvicorn.Config(
            make_app(Ranker(items, score)), log_level="warning"
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
