"""DIN on JAX, its large table split between devices.

On this machine, with 4 virtual devices:

    KERAS_BACKEND=jax XLA_FLAGS=--xla_force_host_platform_device_count=4 \
        python examples/distributed/jax_din.py

On several machines the same script is started once on each, by a launcher that
JAX knows (SLURM, Open MPI, Kubernetes, TPU pods), with `--machines`. Each then
reads the whole data: Keras takes a machine's own part of a batch only from a
`tf.data.Dataset` or a loader of one's own.
"""

import sys

import jax

if "--machines" in sys.argv:  # before anything asks for a device
    sys.argv.remove("--machines")
    jax.distributed.initialize()

from clicks import arguments, make_clicks, make_model
from keras import distribution

TABLE = "sparse_seq_emb_hist_item/embeddings"


def main() -> None:
    given = arguments()
    devices = distribution.list_devices()
    # Half of the devices share a table, where they are even in number.
    parts = 2 if len(devices) % 2 == 0 else 1
    mesh = distribution.DeviceMesh(
        (len(devices) // parts, parts), ["batch", "model"], devices
    )
    layout = distribution.LayoutMap(mesh)
    layout[TABLE] = ("model", None)  # by its rows
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    )
    model = make_model()
    x, clicks = make_clicks(given.samples)
    whole = len(clicks) // given.batch * given.batch  # JAX takes no other
    model.fit(
        {name: ids[:whole] for name, ids in x.items()},
        clicks[:whole],
        batch_size=given.batch,
        epochs=given.epochs,
        verbose=2,
    )
    for weight in model.weights:
        if weight.path == TABLE:
            part = weight.value.addressable_shards[0].data.shape
            print(f"{TABLE}: {tuple(weight.shape)}, on a device {part}")


if __name__ == "__main__":
    main()
