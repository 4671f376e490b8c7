"""Compare the two forms of DIN's scorer: "fold" and "split".

For each size, trains the layer with either form of `kseq.ops.din_hidden` and
prints the CPU milliseconds of a step. The forms take turns on one core.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/din_form.py; done
"""

import functools
import os
import statistics
import time

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np

from kseq.layers.core import local_activation_unit
from kseq.layers.sequence import AttentionSequencePoolingLayer
from kseq.ops import din_hidden

BATCH, ROUNDS = 512, 9
SIZES = ((20, 64), (50, 64), (100, 64), (20, 16), (100, 16))


def use(form):
    """Make the layer compute with this form."""
    local_activation_unit.din_hidden = functools.partial(din_hidden, form=form)


def trainer(form, steps, dim):
    """Return a function that runs one training step with this form."""
    use(form)
    query, keys = keras.Input((1, dim)), keras.Input((steps, dim))
    lengths = keras.Input((1,), dtype="int32")
    layer = AttentionSequencePoolingLayer((80, 40))
    model = keras.Model(
        [query, keys, lengths], layer(query, keys, lengths=lengths)
    )
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    batch = [
        rng.normal(size=(BATCH, 1, dim)).astype("float32"),
        rng.normal(size=(BATCH, steps, dim)).astype("float32"),
        rng.integers(1, steps + 1, (BATCH, 1)),
    ]
    target = np.zeros((BATCH, 1, dim), "float32")

    def train():
        # PyTorch chooses the form in each call, not while tracing.
        use(form)
        model.train_on_batch(batch, target)

    train()
    return train


def main():
    for steps, dim in SIZES:
        forms = {form: trainer(form, steps, dim) for form in ("fold", "split")}
        times = {form: [] for form in forms}
        for _ in range(ROUNDS):
            for form, train in forms.items():
                start = time.process_time()
                train()
                times[form].append(time.process_time() - start)
        medians = ", ".join(
            f"{form} {1000 * statistics.median(t):.1f}"
            for form, t in times.items()
        )
        print(f"{keras.backend.backend()}, T={steps} E={dim}: {medians}")


if __name__ == "__main__":
    main()
