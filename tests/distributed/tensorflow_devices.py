"""TensorFlow: `MirroredStrategy` over two logical CPUs."""

from typing import Any

import tensorflow as tf

from tests.arrays import to_numpy
from tests.distributed import problem
from tests.distributed.problem import Result


def run_all() -> dict[str, Result]:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    def replicas(model: Any) -> tuple[Result, Result]:
        first, second = (
            {
                weight.path: to_numpy(
                    strategy.experimental_local_results(weight.value)[i]
                )
                for weight in model.weights
            }
            for i in range(2)
        )
        return first, second

    found = {}
    for name, options in problem.BY_EXAMPLE.items():
        found[f"{name} one"] = problem.fit(problem.make(name, **options))
        with strategy.scope():
            model = problem.make(name, **options)
        found[f"{name} several"] = problem.fit(model)
        found[f"{name} first"], found[f"{name} second"] = replicas(model)

    # The last batch has one row, so none for the second device.
    with strategy.scope():
        model = problem.make("DIN", **problem.BY_EXAMPLE["DIN"])
    found["uneven several"] = problem.fit(model, 17)
    found["uneven first"], found["uneven second"] = replicas(model)

    with strategy.scope():
        model = problem.make("DIN", **problem.BY_BATCH["DIN"])
    found["statistics several"] = problem.fit(model)
    found["statistics first"], found["statistics second"] = replicas(model)
    return found


if __name__ == "__main__":
    problem.main(run_all)
