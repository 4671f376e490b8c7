"""What an eager call of a recurrent layer costs, once it was called before.

Prints the CPU time of a call, in milliseconds, on one core of one backend.

    for b in tensorflow torch jax; do
        KERAS_BACKEND=$b python benchmarks/eager_calls.py; done
"""

import os
import statistics
import time

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np

from kseq.layers.sequence import BiLSTM, DynamicGRU

BATCH, STEPS, DIM = 32, 20, 16


def milliseconds(layer, inputs, calls=20):
    def call():
        start = time.process_time()
        keras.ops.convert_to_numpy(layer(inputs))
        return 1000 * (time.process_time() - start)

    call()
    return statistics.median(call() for _ in range(calls))


def main():
    x = np.ones((BATCH, STEPS, DIM), "float32")
    lengths = np.full(BATCH, STEPS)
    mask = np.ones((BATCH, STEPS), bool)
    masked = keras.layers.LSTM(DIM, return_sequences=True)
    times = {
        "DynamicGRU": milliseconds(DynamicGRU(DIM), [x, lengths]),
        "BiLSTM": milliseconds(BiLSTM(DIM, 1), [x, lengths]),
        "Keras LSTM, one direction": milliseconds(
            lambda inputs: masked(inputs, mask=mask), x
        ),
    }
    for name, time_of in times.items():
        print(f"{keras.backend.backend()}: {name} {time_of:.1f}")


if __name__ == "__main__":
    main()
