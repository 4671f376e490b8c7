"""TensorFlow: two while loops, the second for the gradient.

TensorFlow's own gradient of a while loop needs lists that grow, which XLA does
not support, and Keras turns XLA on where there is a GPU. Here the forward loop
stores its states in an array of known size, and the backward loop computes each
step again under a tape. One graph serves any number of steps.

A step must not return a state, except the first, that is the old one plus a
term: the gradient of the old one would be a sum with the loop's own variable,
for which TensorFlow 2.21 creates a temporary variable that the last step does
not release (AlreadyExistsError at the next call).

docs/upstream has a script for each reason: tensorflow_scan_xla,
tensorflow_sum_in_loop, and tensorflow_scan_unknown_steps, which rules out
`ops.scan` over several tensors.
"""

from typing import Any

import tensorflow as tf

from kseq.ops.backends.plain import projecting
from kseq.types import Tensor, Tensors


def loop(
    step: Any,
    sequences: Tensors,
    states: Tensors,
    weights: Tensors,
    recompute: bool = False,  # graphs always do
    valid: Tensor | None = None,
    projection: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensors]:
    if projection is not None:
        step, weights = projecting(step), (*weights, *projection)
    if recompute and tf.executing_eagerly():
        # Otherwise the tape would keep the results of all steps: only in a
        # graph does `tf.custom_gradient` hide them from it.
        step = tf.recompute_grad(step)
    lengths = len(sequences), len(states)

    @tf.custom_gradient
    def run(*tensors: Tensor) -> Any:
        sequences, states, weights = _split(tensors, lengths)
        kept, finals = _forward(step, sequences, states, weights)

        def gradient(*upstream: Tensor) -> Tensors:
            return _backward(step, sequences, states, weights, kept, upstream)

        return (kept[0], *finals), gradient

    by_step = [_swap(x) for x in sequences]
    outputs, *finals = run(*by_step, *states, *weights)
    outputs.set_shape([by_step[0].shape[0], *states[0].shape])
    return _swap(outputs), tuple(finals)


def _swap(x: Tensor) -> Tensor:
    """Batch first to steps first, and back."""
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])


def _split(
    tensors: Tensors, lengths: tuple[int, int]
) -> tuple[Tensors, Tensors, Tensors]:
    first, second = lengths[0], sum(lengths)
    return tensors[:first], tensors[first:second], tensors[second:]


def _forward(
    step: Any, sequences: Tensors, states: Tensors, weights: Tensors
) -> tuple[list[Tensor], Tensors]:
    """The states after each step, and after the last."""
    steps = tf.shape(sequences[0])[0]
    read = [_array(x, steps) for x in sequences]
    written = [_empty_array(x, steps) for x in states]

    def body(t: Tensor, states: Tensors, written: Any) -> Any:
        new = step(tuple(x.read(t) for x in read), states, weights)
        for state, old in zip(new, states, strict=True):
            state.set_shape(old.shape)
        kept = [w.write(t, s) for w, s in zip(written, new, strict=True)]
        return t + 1, new, kept

    _, states, written = tf.while_loop(
        lambda t, *_: t < steps, body, (0, states, written)
    )
    return [w.stack() for w in written], states


def _backward(
    step: Any,
    sequences: Tensors,
    states: Tensors,
    weights: Tensors,
    kept: list[Tensor],
    upstream: Tensors,
) -> Tensors:
    """Gradients of the sequences, the first states and the weights."""
    steps = tf.shape(sequences[0])[0]
    read = [_array(x, steps) for x in sequences]
    before = [
        _array(tf.concat([first[None], after[:-1]], 0), steps)
        for first, after in zip(states, kept, strict=True)
    ]
    of_outputs = _array(upstream[0], steps)

    def body(
        t: Tensor, of_states: Tensors, of_weights: Tensors, of_inputs: Any
    ) -> Any:
        inputs = tuple(x.read(t) for x in read)
        old = tuple(x.read(t) for x in before)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch((inputs, old, weights))
            new = step(inputs, old, weights)
        found = tape.gradient(
            new,
            (inputs, old, weights),
            (of_states[0] + of_outputs.read(t), *of_states[1:]),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        for gradient, state in zip(found[1], of_states, strict=True):
            gradient.set_shape(state.shape)
        return (
            t - 1,
            tuple(found[1]),
            tuple(a + b for a, b in zip(of_weights, found[2], strict=True)),
            [w.write(t, g) for w, g in zip(of_inputs, found[0], strict=True)],
        )

    _, of_states, of_weights, of_inputs = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (
            steps - 1,
            tuple(upstream[1:]),
            tuple(tf.zeros_like(w) for w in weights),
            [_empty_array(x[0], steps) for x in sequences],
        ),
    )
    return (*(w.stack() for w in of_inputs), *of_states, *of_weights)


def _array(x: Tensor, steps: Tensor) -> Any:
    return tf.TensorArray(x.dtype, steps, element_shape=x.shape[1:]).unstack(x)


def _empty_array(x: Tensor, steps: Tensor) -> Any:
    return tf.TensorArray(x.dtype, steps, element_shape=x.shape)
