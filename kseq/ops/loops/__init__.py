"""The one time loop, in the form that each backend does best.

What each form gains is measured: benchmarks/results/time_loop.md.

Each module here offers `loop(step, sequences, states, weights,
recompute=False)`:

- `step(inputs, states, weights)` gives the next states from the inputs of one
  step; all three are tuples of tensors, and the states keep their shapes;
- `sequences`: tensors `(batch, steps, ...)`;
- `states`: tensors `(batch, ...)`, the states before the first step;
- `weights`: the tensors that every step uses;
- `recompute`: True: what a step computes is not kept for the gradient, but
  computed again.

It returns the first state after each step, `(batch, steps, ...)`, and all
states after the last. All that a step uses must be in these arguments, in
floats, and it draws nothing: it may be computed again for the gradient.
"""

import keras

match keras.backend.backend():
    case "tensorflow":
        from kseq.ops.loops.tensorflow import loop as loop
    case "jax":
        from kseq.ops.loops.scan import loop as loop
    case _:
        from kseq.ops.loops.unrolled import loop as loop
