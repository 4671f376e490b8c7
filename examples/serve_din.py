"""Train DIN on MovieLens-100K, export it to ONNX and serve it over HTTP.

    pip install --no-deps recbole==1.2.1   # its wheel contains the data
    python examples/serve_din.py

trains the model, exports it for onnxruntime and compares the two, starts a
server on this machine that does not import Keras, sends it a user's history
with candidates, and prints the ranking and the latency of requests.
"""

import argparse
import os
import tempfile
from pathlib import Path

# tox installs the packages of PyTorch's ONNX export.
os.environ.setdefault("KERAS_BACKEND", "torch")

import httpx2
import keras
import numpy as np
from movielens.data import (
    CITATION,
    Catalogue,
    build_samples,
    keep_users,
    read,
    recbole_folder,
)
from movielens.features import features
from movielens.metrics import auc
from movielens.model import build_model
from rich.console import Console
from rich.table import Table
from serving.client import (
    Body,
    measure,
    measure_clients,
    milliseconds,
    rank,
    server,
)
from serving.export import export
from serving.onnx_scorer import onnx_scorer
from serving.ranker import Items, Ranker, Scorer

from kseq.data import Samples, split_time
from kseq.models import ranking_model

STEPS = 30
CANDIDATES = (10, 100, 500)
SHOWN = 5
PERCENTILES = ("p50, ms", "p95, ms", "p99, ms")

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    arguments = parse_arguments()
    console.print(f"MovieLens-100K: {CITATION}")
    ratings, movies = read(recbole_folder())
    if arguments.users:
        ratings = keep_users(ratings, arguments.users, arguments.seed)
    catalogue = Catalogue.from_movies(movies)
    train, valid = split_time(build_samples(ratings, catalogue, STEPS), 0.8)
    model = ranking_model(train_din(train, valid, catalogue, arguments))
    items = make_items(catalogue)
    bodies = {
        count: make_requests(valid, items, count, arguments)
        for count in CANDIDATES
    }
    with tempfile.TemporaryDirectory(prefix="serving-") as temporary:
        folder = arguments.out or Path(temporary)
        console.print(str(export(model, items, folder)))
        with server(folder) as address:
            show_ranking(address, items, bodies[100][0])
            over_http(address, bodies, arguments.clients)
        in_process(model, items, onnx_scorer(folder / "model.onnx"), bodies)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--epochs", type=int, default=1)
    add(
        "--users",
        type=int,
        help="number of users, chosen by --seed; default: all",
    )
    add(
        "--requests",
        type=int,
        default=300,
        help="number of requests of each kind",
    )
    add("--clients", type=int, default=4, help="number of concurrent clients")
    add("--seed", type=int, default=1)
    add("--out", type=Path, help="folder to keep the exported model in")
    return parser.parse_args()


def train_din(
    train: Samples,
    valid: Samples,
    catalogue: Catalogue,
    arguments: argparse.Namespace,
) -> keras.Model:
    keras.utils.set_random_seed(arguments.seed)
    model = build_model("din", catalogue.genre_set, STEPS)
    model.compile("adam", "binary_crossentropy")
    model.fit(
        features(model, train.inputs),
        train.label,
        batch_size=256,
        epochs=arguments.epochs,
        verbose=0,
    )
    predicted = model.predict(
        features(model, valid.inputs), batch_size=256, verbose=0
    )
    console.print(
        f"DIN, {arguments.epochs} epochs of {len(train)} samples: "
        f"AUC {auc(valid.label, predicted[:, 0]):.4f}"
    )
    return model


def make_items(catalogue: Catalogue) -> Items:
    return Items(
        ids=["", *catalogue.index],
        titles=catalogue.titles,
        features={
            "movie": list(range(len(catalogue.titles))),
            "genres": catalogue.genre_set.tolist(),
        },
        steps=STEPS,
    )


def make_requests(
    samples: Samples, items: Items, count: int, arguments: argparse.Namespace
) -> list[Body]:
    """Return requests with users' histories and `count` random candidates."""
    draw = np.random.default_rng([arguments.seed, count])
    requests = []
    lengths = samples.inputs["seq_length"]
    for i in draw.choice(np.flatnonzero(lengths), arguments.requests):
        places = samples.inputs["hist_movie"][i, : lengths[i]]
        candidates = 1 + draw.choice(len(items.ids) - 1, count, replace=False)
        requests.append(
            {
                "history": [items.ids[place] for place in places],
                "candidates": [items.ids[place] for place in candidates],
                "top": 10,
            }
        )
    return requests


def show_ranking(address: str, items: Items, body: Body) -> None:
    title = dict(zip(items.ids, items.titles, strict=True))
    with httpx2.Client(base_url=address) as client:
        answer = rank(client, body)
        rejected = client.post("/rank", json=body | {"candidates": ["?"]})
    console.print("\nafter", *(title[i] for i in body["history"][-SHOWN:]))
    for best in answer["ranking"][:SHOWN]:
        console.print(f"  {best['score']:.4f}  {title[best['item']]}")
    console.print(f"a candidate '?': {rejected.status_code}, {rejected.text}")


def over_http(
    address: str, bodies: dict[int, list[Body]], clients: int
) -> None:
    table = Table(
        "clients", "candidates", *PERCENTILES, "requests/s", title="over HTTP"
    )
    for n in (1, clients):
        for count, requests in bodies.items():
            seconds, rate = measure_clients(address, requests, n)
            table.add_row(
                str(n), str(count), *milliseconds(seconds), f"{rate:.0f}"
            )
    console.print(table)


def in_process(
    model: keras.Model,
    items: Items,
    score: Scorer,
    bodies: dict[int, list[Body]],
) -> None:
    """The same requests without HTTP."""
    table = Table("by", "candidates", *PERCENTILES, title="in one process")
    for name, scorer in (
        ("onnxruntime", score),
        ("Keras: predict_on_batch", model.predict_on_batch),
        ("Keras: predict", lambda x: model.predict(x, verbose=0)),
    ):
        ranker = Ranker(items, scorer)
        for count, requests in bodies.items():

            def ask(body: Body, ranker: Ranker = ranker) -> None:
                ranker.rank(body["history"], body["candidates"])

            ask(requests[0])  # may compile
            seconds = measure(requests, ask)
            table.add_row(name, str(count), *milliseconds(seconds))
    console.print(table)


if __name__ == "__main__":
    main()
