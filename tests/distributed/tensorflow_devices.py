"""TensorFlow: `MirroredStrategy` over two logical CPUs."""

import tensorflow as tf

from tests.distributed import problem
from tests.distributed.problem import PLAIN, STATISTICS
from tests.support import to_numpy


def run_all():
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    def replica(model, i):
        return {
            weight.path: to_numpy(
                strategy.experimental_local_results(weight.value)[i]
            )
            for weight in model.weights
        }

    found = {"one": problem.fit(problem.make(PLAIN))}
    for key, options, *rows in (
        ("", PLAIN),
        # The last batch has one row, so none for the second device.
        ("uneven ", PLAIN, 17),
        ("statistics ", STATISTICS),
    ):
        with strategy.scope():
            model = problem.make(options)
        found[f"{key}several"] = problem.fit(model, *rows)
        found[f"{key}first"] = replica(model, 0)
        found[f"{key}second"] = replica(model, 1)
    return found


if __name__ == "__main__":
    problem.main(run_all)
