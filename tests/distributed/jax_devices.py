"""JAX: `keras.distribution` over 4 devices."""

from typing import Any

import jax
import keras
import numpy as np
from keras import distribution

from tests.distributed import problem
from tests.distributed.problem import Result

# One table by its rows, one by its columns, and a kernel.
LAYOUT = {
    "sparse_seq_emb_hist_item/embeddings": ("model", None),
    "sparse_seq_emb_tags/embeddings": (None, "model"),
    "dnn/kernel0": (None, "model"),
}
UNEVEN = 27  # rows; the last batch's 11 do not divide by 4


def run_all() -> dict[str, Result]:
    assert len(jax.devices()) == 4
    found = {}
    for name, options in problem.BY_BATCH.items():
        found[f"{name} one"] = problem.fit(problem.make(name, **options))
    # The mean over rows of weight 1: rows of weight 0 only fill the batch.
    loss = keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")
    plain = problem.BY_EXAMPLE["DIN"]
    model = problem.make("DIN", loss, **plain)
    found["uneven one"] = problem.fit(model, UNEVEN)

    distribution.set_distribution(distribution.DataParallel())
    for name, options in problem.BY_BATCH.items():
        found[f"{name} several"] = on_all(problem.make(name, **options))
    model = problem.make("DIN", loss, **plain)
    found["uneven several"] = filled_up(model)

    mesh = distribution.DeviceMesh(
        (2, 2), ["batch", "model"], distribution.list_devices()
    )
    layout = distribution.LayoutMap(mesh)
    for path, axes in LAYOUT.items():
        layout[path] = axes
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    model = problem.make("DIN", **problem.BY_BATCH["DIN"])
    found["split several"] = on_all(model)
    found["parts"] = {
        weight.path: np.array(weight.value.addressable_shards[0].data.shape)
        for weight in model.weights
    }
    return found


def on_all(model: Any) -> Result:
    for weight in model.weights:
        assert len(weight.value.sharding.device_set) == 4, weight.path
    return problem.fit(model)


def filled_up(model: Any) -> Result:
    """Train with one additional row of weight 0."""
    x, clicks = problem.inputs_of(model, UNEVEN)

    def fill(rows: Any) -> Any:
        return np.concatenate([rows, np.zeros_like(rows[:1])])

    x = {name: fill(rows) for name, rows in x.items()}
    return problem.fit_to(model, x, fill(clicks), fill(np.ones(UNEVEN)))


if __name__ == "__main__":
    problem.main(run_all)
