"""The one place that knows backends: what each does best in a form of its own.

All forms give the same values and gradients (tests/ops/test_backends.py), and
each is paid for by a number in docs/performance.md.

- `loop(step, sequences, states, weights, recompute=False)`: the time loop.

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

- `PROJECTS_AHEAD`: whether the inputs' products with weights are made for all
  steps at once, before the loop, or in it.

- `zero_steps(x, valid)`: `x`, `(batch, steps, ...)`, with 0 where `valid`,
  `(batch, steps)`, is False.

- `fused_lstm(x, valid, kernel, recurrent_kernel, bias, reverse)`: an LSTM of
  the backend's own, or None where it has none for these tensors.
"""

import keras

match keras.backend.backend():
    case "tensorflow":
        from kseq.ops.backends.no_lstm import fused_lstm as fused_lstm
        from kseq.ops.backends.tensorflow_loop import loop as loop
        from kseq.ops.backends.tensorflow_select import zero_steps as zero_steps

        PROJECTS_AHEAD = False
    case "jax":
        from kseq.ops.backends.no_lstm import fused_lstm as fused_lstm
        from kseq.ops.backends.scan_loop import loop as loop
        from kseq.ops.backends.select import zero_steps as zero_steps

        PROJECTS_AHEAD = False
    case "torch":
        from kseq.ops.backends.torch_lstm import fused_lstm as fused_lstm
        from kseq.ops.backends.torch_select import zero_steps as zero_steps
        from kseq.ops.backends.unrolled_loop import loop as loop

        PROJECTS_AHEAD = True
    case _:
        from kseq.ops.backends.no_lstm import fused_lstm as fused_lstm
        from kseq.ops.backends.select import zero_steps as zero_steps
        from kseq.ops.backends.unrolled_loop import loop as loop

        PROJECTS_AHEAD = True
