"""TensorFlow: `MirroredStrategy` over two logical CPUs."""

from typing import Any

import tensorflow as tf

from tests.distributed import problem
from tests.distributed.problem import Result
from tests.support import to_numpy


def run_all() -> dict[str, Result]:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    def replica(model: Any, i: int) -> Result:
        values = {
            weight.path: strategy.experimental_local_results(weight.value)[i]
            for weight in model.weights
        }
        return {path: to_numpy(value) for path, value in values.items()}

    found = {}

    def fit(key: str, name: str, options: Any, *rows: int) -> None:
        with strategy.scope():
            model = problem.make(name, **options)
        found[f"{key} several"] = problem.fit(model, *rows)
        found[f"{key} first"] = replica(model, 0)
        found[f"{key} second"] = replica(model, 1)

    for name, options in problem.BY_EXAMPLE.items():
        found[f"{name} one"] = problem.fit(problem.make(name, **options))
        fit(name, name, options)
    # The last batch has one row, so none for the second device.
    fit("uneven", "DIN", problem.BY_EXAMPLE["DIN"], 17)
    fit("statistics", "DIN", problem.BY_BATCH["DIN"])
    return found


if __name__ == "__main__":
    problem.main(run_all)
