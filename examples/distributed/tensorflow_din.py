"""DIN on TensorFlow, with one replica on each device.

On this machine, with 2 virtual devices:

    KERAS_BACKEND=tensorflow python examples/distributed/tensorflow_din.py \
        --virtual 2

On a machine with GPUs, omit `--virtual`: each GPU gets a replica. Several
machines were not tried.
"""

import sys

import tensorflow as tf
from clicks import arguments, make_clicks, make_model


def devices() -> list[str] | None:
    """Return the virtual CPUs that `--virtual` asks for, or None: all GPUs."""
    if "--virtual" not in sys.argv:
        return None
    at = sys.argv.index("--virtual")
    number = int(sys.argv[at + 1])
    del sys.argv[at : at + 2]
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * number
    )
    return [f"CPU:{i}" for i in range(number)]


def main() -> None:
    strategy = tf.distribute.MirroredStrategy(devices())
    options = arguments()
    with strategy.scope():
        model = make_model()
    # Each batch is divided between the devices. A smaller last batch would be
    # weighted differently than on one device.
    data = tf.data.Dataset.from_tensor_slices(make_clicks(options.samples))
    data = data.shuffle(options.samples, seed=0)
    data = data.batch(options.batch, drop_remainder=True).prefetch(2)
    model.fit(data, epochs=options.epochs, verbose=2)
    print(f"{strategy.num_replicas_in_sync} devices")


if __name__ == "__main__":
    main()
