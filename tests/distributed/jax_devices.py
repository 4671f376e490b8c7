"""JAX: `keras.distribution` over 4 devices."""

import jax
import keras
import numpy as np
from keras import distribution

from tests.distributed import problem
from tests.distributed.problem import PLAIN, STATISTICS

# One table by its rows, one by its columns, and a kernel.
LAYOUT = {
    "sparse_seq_emb_hist_item/embeddings": ("model", None),
    "sparse_seq_emb_tags/embeddings": (None, "model"),
    "dnn/kernel0": (None, "model"),
}
UNEVEN = 27  # rows; the last batch's 11 do not divide by 4


def run_all():
    assert len(jax.devices()) == 4
    # The mean over rows of weight 1: rows of weight 0 only fill the batch.
    loss = keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")
    found = {
        "one": problem.fit(problem.make(STATISTICS)),
        "uneven one": problem.fit(problem.make(PLAIN, loss), UNEVEN),
    }
    distribution.set_distribution(distribution.DataParallel())
    found["several"] = on_all(problem.make(STATISTICS))
    found["uneven several"] = filled_up(problem.make(PLAIN, loss))

    mesh = distribution.DeviceMesh(
        (2, 2), ["batch", "model"], distribution.list_devices()
    )
    layout = distribution.LayoutMap(mesh)
    for path, axes in LAYOUT.items():
        layout[path] = axes
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    model = problem.make(STATISTICS)
    found["split several"] = on_all(model)
    found["parts"] = {
        weight.path: np.array(weight.value.addressable_shards[0].data.shape)
        for weight in model.weights
    }
    return found


def on_all(model):
    for weight in model.weights:
        assert len(weight.value.sharding.device_set) == 4, weight.path
    return problem.fit(model)


def filled_up(model):
    """Train with one additional row of weight 0."""
    x, clicks = problem.inputs_of(model, UNEVEN)
    x, clicks, weights = keras.tree.map_structure(
        lambda rows: np.concatenate([rows, np.zeros_like(rows[:1])]),
        (x, clicks, np.ones(UNEVEN)),
    )
    return problem.fit_to(model, x, clicks, weights)


if __name__ == "__main__":
    problem.main(run_all)
