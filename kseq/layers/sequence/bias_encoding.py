from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_known_dim,
    check_optional_int,
    check_positive_int,
    describe_inputs,
    is_shape,
    raise_invalid,
    resolve_table_length,
)
from kseq.layers.base import Layer, check_seed, nth_seed
from kseq.ops.positions import first_rows
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class BiasEncoding(Layer):
    r"""DSIN's bias: adds a number for the session, the step and the feature.

    $$y_{s,bti} = x_{s,bti} + w_s + w_t + w_i$$

    with a trained number for each session $s$, step $t$ and feature $i$.

    Args:
        sess_max_count: the number of sessions.
        seed: the initial numbers' seed, or None for different ones each time.
        max_steps: the number of steps of the table; None: that of the longest
            session. Shorter sessions use its first steps.

    Call arguments:
        inputs: a list of `sess_max_count` sessions, each `(batch, steps, dim)`;
            a single session may be a tensor.

    Returns:
        A list of the sessions' shapes, in the compute dtype. Each session's
        mask is propagated.

    Raises:
        ValueError: an argument is out of range, the number of sessions differs,
            sessions are not of rank 3 or differ in `dim`, `dim` is unknown or
            differs from that at build time, a session has more steps than the
            table, or neither `max_steps` nor any number of steps is known.

    Differences from DeepCTR:
        One session works: DeepCTR rejects `[x]`, and returns only the first
        example of the batch for `x` alone. Sessions may differ in steps. The
        three tables start differently.

    Reference:
        Feng et al., [Deep Session Interest
        Network](https://arxiv.org/abs/1905.06482), 2019, equation 2.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import BiasEncoding
    >>> sessions = [np.ones((2, 4, 3), "float32") for _ in range(2)]
    >>> [tuple(y.shape) for y in BiasEncoding(2)(sessions)]
    [(2, 4, 3), (2, 4, 3)]
    """

    def __init__(
        self,
        sess_max_count: int,
        seed: int | None = None,
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sess_max_count = check_positive_int(
            "sess_max_count", sess_max_count
        )
        self.seed = check_seed(seed)
        self.max_steps = check_optional_int("max_steps", max_steps)

    def _sessions(self, inputs: Any) -> list[Any]:
        """The sessions, or their shapes, as a list."""
        alone = not isinstance(inputs, (list, tuple)) or is_shape(inputs)
        sessions = [inputs] if alone else list(inputs)
        if len(sessions) != self.sess_max_count:
            expected = f"{self.sess_max_count} sessions"
            raise_invalid("inputs", expected, describe_inputs(inputs))
        return sessions

    def build(self, input_shape: Sequence[Any]) -> None:
        sessions = self._sessions(input_shape)
        dim = check_known_dim("inputs", sessions[0], -1)
        self.input_spec = [
            keras.layers.InputSpec(ndim=3, axes={-1: dim}) for _ in sessions
        ]
        steps = resolve_table_length(self.max_steps, *(s[1] for s in sessions))
        shapes = {
            "sess_bias_embedding": (self.sess_max_count, 1, 1),
            "seq_bias_embedding": (1, steps, 1),
            "item_bias_embedding": (1, 1, dim),
        }
        self.tables = [
            self.add_weight(
                shape=shape,
                initializer=keras.initializers.TruncatedNormal(
                    stddev=1e-4, seed=nth_seed(self.seed, i)
                ),
                name=name,
            )
            for i, (name, shape) in enumerate(shapes.items())
        ]

    def call(self, inputs: list[Tensor]) -> list[Tensor]:
        sessions = self._sessions(inputs)
        session_bias, step_bias, item_bias = (
            ops.cast(table, self.compute_dtype) for table in self.tables
        )
        return [
            ops.cast(x, self.compute_dtype)
            + item_bias
            + first_rows(step_bias[0], x)
            + session_bias[i]
            for i, x in enumerate(sessions)
        ]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if isinstance(mask, (list, tuple)):
            return list(mask)
        return [mask] * self.sess_max_count

    def compute_output_shape(self, input_shape: Any) -> list[Shape]:
        return [tuple(shape) for shape in self._sessions(input_shape)]
