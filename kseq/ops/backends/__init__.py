"""Select backend-specific implementations of some functions.

The only place that does so. All implementations give the same values and
gradients (tests/ops), and each is justified by a measurement in
docs/performance.md. `plain.py` defines them all, on `keras.ops`.

- `loop(step, sequences, states, weights, recompute=False, valid=None,
  projection=None)`: the time loop. Returns the first state after each step,
  `(batch, steps, ...)`, and all states after the last.

  - `step(inputs, states, weights)` returns the next states from the inputs of
    one step; all three are tuples of float tensors, and states keep their
    shapes. It is a function of a module, not created by each call, so that what
    was compiled of it is reused. It must use nothing but its arguments and draw
    no random numbers, since it may be computed again for the gradient;
  - `sequences`: tensors `(batch, steps, ...)`;
  - `states`: tensors `(batch, ...)`, the states before the first step;
  - `weights`: the tensors that every step uses;
  - `recompute`: True: results of a step are not stored for the gradient, but
    computed again;
  - `valid`: bool `(batch, steps)`, or None. Steps after the last valid one of a
    sequence may be skipped; they must not change the states, and their outputs
    are arbitrary finite numbers;
  - `projection`: a kernel and a bias, or None: `step` receives the first input
    times the kernel plus the bias, all three of one dtype. Where a compiler
    sees the loop this is computed in each step, since storing it costs more;
    elsewhere once for all steps.

- `reshape(x, shape)`, `split(x, sizes)` of the last axis, `sigmoid(x)`,
  `tanh(x)`, of a backend's tensor that is not symbolic: for small tensors a
  call of `keras.ops` costs more than it computes. The gradient of a slice is a
  tensor of zeros as large as x; that of a split is not.

- `fill_steps(x, valid, value=0)`: x `(batch, steps, ...)` with `value` where
  `valid`, `(batch, steps, 1, ...)` of the same rank, is False.

- `may_be_any_true(condition)`: False only where the bool tensor is known to be
  False throughout, so that the work for the other case can be skipped.

- `map_buckets(function, examples, sequences, valid, elements_per_step,
  training, returns_sequence=False)`: `function(*examples, *sequences, *valid)`,
  computed in buckets of examples with similar lengths, cut to their longest
  sequence, where that pays. `function` must treat examples independently.

  - `examples`: tensors `(batch, ...)`;
  - `sequences`: tensors `(batch, steps, ...)`, each with its own number of
    steps;
  - `valid`: a bool `(batch, steps)` for each sequence;
  - `elements_per_step`: how many numbers `function` computes for one step of an
    example (or for one step of each sequence);
  - `training`: False and None may be traced for export, which stays plain;
  - `returns_sequence`: True: the result is `(batch, steps, ...)`, with the
    steps of the first sequence, and 0 where these are padded.

- `fused_attention(query, keys, values, query_valid, valid, offsets)`:
  `softmax(q k) v` as in `multi_head_attention`, with its `Offsets`, or None
  where the backend has no form of its own for these tensors.

- `fused_lstm(x, valid, kernel, recurrent_kernel, bias, reverse)`: an LSTM of
  the backend as in `lstm`, or None likewise.

- `lookup(table, ids, sparse, training)`: the rows of a variable. In training,
  with `sparse`, its gradient is one that `sparse_rows` understands; without it,
  a tensor of the table's shape, which every optimizer of Keras understands.

- `sparse_rows(gradient)`: distinct ids and the sums of their rows' gradients;
  None for a tensor of the table's shape.

- `read_rows(variable, ids)`, `write_rows(variable, ids, rows)`: for the ids of
  `sparse_rows`, at a cost that does not depend on the variable's size.

- `train_step(model, step, *arguments)`: `step(*arguments)`, Keras's train step
  of a model, or the backend's own where tables have a gradient of rows.

- `plain_forms()`: a context in which only the plain forms are used.
"""

import keras

from kseq.ops.backends.plain import (
    fill_steps,
    fused_attention,
    fused_lstm,
    lookup,
    map_buckets,
    may_be_any_true,
    plain_forms,
    read_rows,
    reshape,
    sigmoid,
    sparse_rows,
    split,
    tanh,
    train_step,
    write_rows,
)

match keras.backend.backend():
    case "tensorflow":
        from kseq.ops.backends.tensorflow_buckets import map_buckets
        from kseq.ops.backends.tensorflow_loop import loop
        from kseq.ops.backends.tensorflow_rows import (
            lookup,
            read_rows,
            sparse_rows,
            write_rows,
        )
        from kseq.ops.backends.tensorflow_select import fill_steps
    case "jax":
        from kseq.ops.backends.jax_loop import loop
        from kseq.ops.backends.jax_rows import (
            lookup,
            read_rows,
            sparse_rows,
            train_step,
            write_rows,
        )
    case "torch":
        from kseq.ops.backends.torch_attention import fused_attention
        from kseq.ops.backends.torch_buckets import map_buckets
        from kseq.ops.backends.torch_loop import loop
        from kseq.ops.backends.torch_lstm import fused_lstm
        from kseq.ops.backends.torch_rows import (
            lookup,
            read_rows,
            sparse_rows,
            write_rows,
        )
        from kseq.ops.backends.torch_select import fill_steps, may_be_any_true
        from kseq.ops.backends.torch_steps import (
            reshape,
            sigmoid,
            split,
            tanh,
        )
    case _:
        from kseq.ops.backends.unrolled_loop import loop

__all__ = [
    "fill_steps",
    "fused_attention",
    "fused_lstm",
    "lookup",
    "loop",
    "map_buckets",
    "may_be_any_true",
    "plain_forms",
    "read_rows",
    "reshape",
    "sigmoid",
    "sparse_rows",
    "split",
    "tanh",
    "train_step",
    "write_rows",
]
