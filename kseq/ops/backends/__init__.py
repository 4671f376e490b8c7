"""The one place that knows backends: what each does best in a form of its own.

All forms give the same values and gradients (tests/ops). What each gains is
measured: docs/performance.md.

- `loop(step, sequences, states, weights, recompute=False, valid=None,
  projection=None)`: the time loop.

  - `step(inputs, states, weights)` gives the next states from the inputs of one
    step; all three are tuples of tensors, and the states keep their shapes.
    It is of a module, not made by each call: what is compiled of it is kept;
  - `sequences`: tensors `(batch, steps, ...)`;
  - `states`: tensors `(batch, ...)`, the states before the first step;
  - `weights`: the tensors that every step uses;
  - `recompute`: True: what a step computes is not kept for the gradient, but
    computed again;
  - `valid`: bool `(batch, steps)`, or None: after the last step of a sequence
    that counts, steps need not be computed. They must leave the states alone,
    and their outputs are anything finite;
  - `projection`: a kernel and a bias, or None: `step` gets the product of the
    first input and the kernel, plus the bias, instead of that input. Where a
    compiler sees the loop it is made at each step, to store it costs more;
    elsewhere of all steps at once.

  It returns the first state after each step, `(batch, steps, ...)`, and all
  states after the last. All that a step uses must be in these arguments, in
  floats, and it draws nothing: it may be computed again for the gradient.

- `split(x, sizes)`, of the last axis, `sigmoid(x)`, `tanh(x)`: for its steps.
  Slices instead of a split have gradients of as many zeros as all of x.

- `fill_steps(x, valid, value=0)`: `x`, `(batch, steps, ...)`, with `value`
  where `valid`, `(batch, steps, 1, ...)` of the same rank, is False.

- `may_be(condition)`: False where it is known now that the bool tensor is False
  throughout, so that what is for the others need not be computed.

- `by_groups(function, examples, sequences, valid, made, training,
  gives_steps=False)`: the tensor that `function(*examples, *sequences, *valid)`
  gives of all examples, which do not depend on each other. It may be called
  with some of them at a time, in any order, and with sequences that end with
  the last step that counts.

  - `examples`: tensors `(batch, ...)`;
  - `sequences`: tensors `(batch, steps, ...)`, each of its own number of steps;
  - `valid`: for each a bool `(batch, steps)`;
  - `made`: the shape of what the function makes of one step of one example, or
    of one step of each of the sequences;
  - `training`: what may be exported is not in training;
  - `gives_steps`: True: the result is `(batch, steps, ...)`, of the steps of
    the first sequence, and 0 where they do not count.

- `fused_attention(query, keys, values, query_valid, valid, blinding)`:
  `softmax(q k) v`, as in `multi_head_attention`, or None where the backend has
  no form of its own for these tensors.

- `fused_lstm(x, valid, kernel, recurrent_kernel, bias, reverse)`: an LSTM of
  the backend's own, as in `lstm`, or None as above.
"""

import keras

from kseq.ops.backends.plain import (
    by_groups,
    fill_steps,
    fused_attention,
    fused_lstm,
    may_be,
    sigmoid,
    split,
    tanh,
)

match keras.backend.backend():
    case "tensorflow":
        from kseq.ops.backends.tensorflow_groups import by_groups
        from kseq.ops.backends.tensorflow_loop import loop
        from kseq.ops.backends.tensorflow_select import fill_steps
    case "jax":
        from kseq.ops.backends.jax_loop import loop
    case "torch":
        from kseq.ops.backends.torch_attention import fused_attention
        from kseq.ops.backends.torch_groups import by_groups
        from kseq.ops.backends.torch_loop import loop
        from kseq.ops.backends.torch_lstm import fused_lstm
        from kseq.ops.backends.torch_select import fill_steps, may_be
        from kseq.ops.backends.torch_steps import sigmoid, split, tanh
    case _:
        from kseq.ops.backends.unrolled_loop import loop

__all__ = [
    "by_groups",
    "fill_steps",
    "fused_attention",
    "fused_lstm",
    "loop",
    "may_be",
    "sigmoid",
    "split",
    "tanh",
]
