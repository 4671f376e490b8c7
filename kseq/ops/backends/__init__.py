"""The one place that knows backends: what each does best in a form of its own.

All forms give the same values and gradients (tests/ops/test_backends.py), and
each is paid for by a number in docs/performance.md.

- `loop(step, sequences, states, weights, recompute=False, valid=None)`: the
  time loop.

  - `step(inputs, states, weights)` gives the next states from the inputs of one
    step; all three are tuples of tensors, and the states keep their shapes;
  - `sequences`: tensors `(batch, steps, ...)`;
  - `states`: tensors `(batch, ...)`, the states before the first step;
  - `weights`: the tensors that every step uses;
  - `recompute`: True: what a step computes is not kept for the gradient, but
    computed again;
  - `valid`: bool `(batch, steps)`, or None: after the last step of a sequence
    that counts, steps need not be computed. They must leave the states alone,
    and their outputs are anything finite.

  It returns the first state after each step, `(batch, steps, ...)`, and all
  states after the last. All that a step uses must be in these arguments, in
  floats, and it draws nothing: it may be computed again for the gradient.

- `PROJECTS_AHEAD`: whether the inputs' products with weights are made for all
  steps at once, before the loop, or in it.

- `zero_steps(x, valid)`: `x`, `(batch, steps, ...)`, with 0 where `valid`,
  `(batch, steps)`, is False.

- `by_groups(function, examples, sequence, valid)`: the tensors that
  `function(*examples, sequence, valid)` gives of all examples, which do not
  depend on each other. It may be called with some of them at a time, in any
  order, and with sequences that end with the last step that counts: so what it
  gives must have no step axis. Of one step it makes about as many numbers as
  the last of `examples`, `(batch, ...)`, has of one example.

- `fused_attention(query, keys, values, query_valid, valid, blinding)`:
  `softmax(q k) v`, as in `multi_head_attention`, or None where the backend has
  no form of its own for these tensors.

- `fused_lstm(x, valid, kernel, recurrent_kernel, bias, reverse)`: an LSTM of
  the backend's own, as in `lstm`, or None as above.
"""

# ruff: noqa: F401

import keras

match keras.backend.backend():
    case "tensorflow":
        from kseq.ops.backends.plain import (
            by_groups,
            fused_attention,
            fused_lstm,
        )
        from kseq.ops.backends.tensorflow_loop import loop
        from kseq.ops.backends.tensorflow_select import zero_steps
    case "torch":
        from kseq.ops.backends.torch_attention import fused_attention
        from kseq.ops.backends.torch_groups import by_groups
        from kseq.ops.backends.torch_lstm import fused_lstm
        from kseq.ops.backends.torch_loop import loop
        from kseq.ops.backends.torch_select import zero_steps
    case backend:
        from kseq.ops.backends.plain import (
            by_groups,
            fused_attention,
            fused_lstm,
            zero_steps,
        )

        if backend == "jax":
            from kseq.ops.backends.scan_loop import loop
        else:
            from kseq.ops.backends.unrolled_loop import loop

# Where a compiler sees the loop, to store products costs more than to make them.
PROJECTS_AHEAD = keras.backend.backend() not in ("tensorflow", "jax")
