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
    for name in (*problem.BY_EXAMPLE, problem.BY_STEPS):
        found[f"{name} one"] = problem.fit(problem.make(name))
    found["statistics one"] = problem.fit(
        problem.make("DIN", att_activation="dice", **problem.BY_BATCH)
    )
    # The mean over the rows that count, whatever else fills a batch.
    loss = keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")
    found["uneven one"] = problem.fit(problem.make("DIN", loss), UNEVEN)

    distribution.set_distribution(distribution.DataParallel())
    for name in (*problem.BY_EXAMPLE, problem.BY_STEPS):
        found[f"{name} several"] = on_all(problem.make(name))
    found["statistics several"] = on_all(
        problem.make("DIN", att_activation="dice", **problem.BY_BATCH)
    )
    found["refused"] = {"error": np.array(refusal())}
    found["uneven several"] = filled_up(problem.make("DIN", loss))

    mesh = distribution.DeviceMesh(
        (2, 2), ["batch", "model"], distribution.list_devices()
    )
    layout = distribution.LayoutMap(mesh)
    for path, axes in LAYOUT.items():
        layout[path] = axes
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    model = problem.make("DIN")
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


def refusal() -> str:
    try:
        problem.fit(problem.make("DIN"), UNEVEN)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def filled_up(model: Any) -> Result:
    """With one row more, whose weight is 0."""
    x, clicks = problem.inputs_of(model, UNEVEN)

    def fill(rows: Any) -> Any:
        return np.concatenate([rows, np.zeros_like(rows[:1])])

    return problem.fit_to(
        model,
        {name: fill(rows) for name, rows in x.items()},
        fill(clicks),
        fill(np.ones(UNEVEN)),
    )


if __name__ == "__main__":
    problem.main(run_all)
