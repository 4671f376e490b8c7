"""Quantise models trained on MovieLens-100K; compare size and predictions.

    pip install --no-deps recbole==1.2.1   # its wheel contains the data
    KERAS_BACKEND=jax python examples/quantise_movielens.py

trains each model, quantises a copy in each mode, saves and loads the copy, and
prints a table of the loaded copies' predictions.
"""

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

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
from movielens.metrics import auc, largest_difference
from movielens.model import build_model
from same_start import set_starting_weights

from kseq.data import split_time

MODELS = ("din", "dien", "dsin", "bst")
MODES = ("int8", "int4", "float8")
STEPS = 30
BATCH = 256
SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument(
        "--users", type=int, help="number of users; default: all"
    )
    parser.add_argument("--model", nargs="+", choices=MODELS, default=MODELS)
    arguments = parser.parse_args()

    print(f"MovieLens-100K: {CITATION}")
    ratings, movies = read(recbole_folder())
    if arguments.users:
        ratings = keep_users(ratings, arguments.users, SEED)
    catalogue = Catalogue.from_movies(movies)
    train, valid = split_time(build_samples(ratings, catalogue, STEPS), 0.8)

    print(
        "| model | mode | file, kB | weights, kB | of which not Keras's | "
        "AUC | largest difference |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.model:
        keras.utils.set_random_seed(SEED)  # the order of the ratings in fit
        model = build_model(name, catalogue.genre_set, STEPS)
        set_starting_weights(model, SEED)
        model.compile("adam", "binary_crossentropy")
        model.fit(
            features(model, train.inputs),
            train.label,
            batch_size=BATCH,
            epochs=arguments.epochs,
            verbose=0,
        )
        inputs = features(model, valid.inputs)
        for mode, predicted, *shown in quantised(model, inputs):
            if mode == "float32":
                expected = predicted
            print(
                f"| {name.upper()} | {mode} | {' | '.join(shown)} | "
                f"{auc(valid.label, predicted):.4f} | "
                f"{largest_difference(predicted, expected):.1e} |",
                flush=True,
            )


def quantised(
    model: keras.Model, inputs: dict[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray, str, str, str]]:
    """Yield predictions and sizes of quantised copies, saved and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder) / "trained.keras"
        model.save(trained)
        for mode in ("float32", *MODES):
            # Without the optimizer, whose moments are larger than the model.
            copy = keras.saving.load_model(trained, compile=False)
            if mode != "float32":
                with warnings.catch_warnings():
                    # Keras warns of each layer that it does not quantise.
                    warnings.simplefilter("ignore")
                    copy.quantize(mode)
            file = Path(folder) / f"{mode}.keras"
            copy.save(file)
            loaded = keras.saving.load_model(file)
            predicted = loaded.predict(inputs, batch_size=BATCH, verbose=0)
            kilobytes, unquantised = sizes(loaded)
            yield (
                mode,
                predicted[:, 0],
                f"{file.stat().st_size / 1e3:.0f}",
                f"{kilobytes:.0f}",
                f"{unquantised:.0%}",
            )


def sizes(model: keras.Model) -> tuple[float, float]:
    """Return the kilobytes of the weights, and the share not quantised."""
    total = unquantised = 0
    for layer in model.layers:
        size = sum(bytes_of(weight) for weight in layer.weights)
        total += size
        if not isinstance(layer, (keras.layers.Embedding, keras.layers.Dense)):
            unquantised += size
    return total / 1e3, unquantised / total


def bytes_of(weight: keras.Variable) -> int:
    return keras.ops.convert_to_numpy(weight).nbytes


if __name__ == "__main__":
    main()
