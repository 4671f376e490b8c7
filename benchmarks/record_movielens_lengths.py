"""How long histories are in MovieLens-100K, for works of `benchmarks.works`.

    pip install --no-deps recbole==1.2.1   # its wheel holds the data
    python benchmarks/record_movielens_lengths.py

writes movielens_lengths.json: quantiles of the lengths, as the example makes
its samples, but with nothing cut off.
"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from movielens.data import (
    LIKED_FROM,
    Catalogue,
    build_samples,
    read,
    recbole_folder,
)

from kseq.files import replace_text

WHAT = (
    "MovieLens-100K: quantiles (0, 1, ... 100 %) over all {samples} ratings "
    "of the number of movies that the user had rated {stars:g} or more stars "
    "before, in an earlier second. With {steps} steps, {padding:.0%} of a "
    "batch is padding."
)
STEPS = 100  # of the works


def main():
    ratings, movies = read(recbole_folder())
    samples = build_samples(ratings, Catalogue.of(movies), len(movies))
    quantiles = np.quantile(samples.length, np.linspace(0, 1, 101))
    what = WHAT.format(
        samples=len(samples),
        stars=LIKED_FROM,
        steps=STEPS,
        padding=1 - np.clip(samples.length, 1, STEPS).mean() / STEPS,
    )
    record = {"what": what, "quantiles": quantiles.round(1).tolist()}
    path = HERE / "movielens_lengths.json"
    replace_text(path, json.dumps(record) + "\n")
    print(what)


if __name__ == "__main__":
    main()
