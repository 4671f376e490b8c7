"""DIN on JAX, with its large table split between devices.

On this machine, with 4 virtual devices:

    KERAS_BACKEND=jax XLA_FLAGS=--xla_force_host_platform_device_count=4 \
        python examples/distributed/jax_din.py

On several machines, start the same script once on each with `--machines`, using
a launcher that JAX supports (SLURM, Open MPI, Kubernetes, TPU pods). Each
machine then reads the whole data: Keras lets a machine read only its part of a
batch from a `tf.data.Dataset` or a custom loader.
"""

import sys

import jax

if "--machines" in sys.argv:  # before any device is used
    sys.argv.remove("--machines")
    jax.distributed.initialize()

from clicks import arguments, make_clicks, make_model
from keras import distribution

TABLE = "sparse_seq_emb_hist_item/embeddings"


def main() -> None:
    options = arguments()
    devices = distribution.list_devices()
    # An even number of devices is split into pairs that share a table.
    parts = 2 if len(devices) % 2 == 0 else 1
    mesh = distribution.DeviceMesh(
        (len(devices) // parts, parts), ["batch", "model"], devices
    )
    layout = distribution.LayoutMap(mesh)
    layout[TABLE] = ("model", None)  # rows are split
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    model = make_model()
    x, clicks = make_clicks(options.samples)
    whole = (
        len(clicks) // options.batch * options.batch
    )  # JAX needs whole batches
    model.fit(
        {name: ids[:whole] for name, ids in x.items()},
        clicks[:whole],
        batch_size=options.batch,
        epochs=options.epochs,
        verbose=2,
    )
    for weight in model.weights:
        if weight.path == TABLE:
            part = weight.value.addressable_shards[0].data.shape
            print(f"{TABLE}: {tuple(weight.shape)}, on each device {part}")


if __name__ == "__main__":
    main()
