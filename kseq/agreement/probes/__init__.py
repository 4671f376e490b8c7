"""The only place in `kseq.agreement` that knows a backend.

Each module here offers the same five functions:

- `float64()`: a context in which the backend computes in 64 bits;
- `device()`: "cpu" or "gpu", where it computes by default;
- `devices()`: all that it sees, by their makers' names;
- `forward(layer, inputs, kwargs, compiled)`: the flat outputs;
- `gradients(layer, inputs, kwargs, cotangents, compiled)`: of
  `sum(outputs * cotangents)`, for the inputs of floats and the trainable
  weights, zeros where an input plays no part.

`layer` is a built layer, or a function of tensors, which has no weights.
"""

import keras

match keras.backend.backend():
    case "tensorflow":
        from kseq.agreement.probes.tensorflow import device as device
        from kseq.agreement.probes.tensorflow import devices as devices
        from kseq.agreement.probes.tensorflow import float64 as float64
        from kseq.agreement.probes.tensorflow import forward as forward
        from kseq.agreement.probes.tensorflow import gradients as gradients
    case "torch":
        from kseq.agreement.probes.torch import device as device
        from kseq.agreement.probes.torch import devices as devices
        from kseq.agreement.probes.torch import float64 as float64
        from kseq.agreement.probes.torch import forward as forward
        from kseq.agreement.probes.torch import gradients as gradients
    case "jax":
        from kseq.agreement.probes.jax import device as device
        from kseq.agreement.probes.jax import devices as devices
        from kseq.agreement.probes.jax import float64 as float64
        from kseq.agreement.probes.jax import forward as forward
        from kseq.agreement.probes.jax import gradients as gradients
    case _:
        from kseq.agreement.probes.inference import device as device
        from kseq.agreement.probes.inference import devices as devices
        from kseq.agreement.probes.inference import float64 as float64
        from kseq.agreement.probes.inference import forward as forward
        from kseq.agreement.probes.inference import gradients as gradients
