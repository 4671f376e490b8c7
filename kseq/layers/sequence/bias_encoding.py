from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_known_dim,
    check_max_steps,
    check_positive_int,
    check_rank,
    check_same_dim,
    describe_inputs,
    is_shape,
    raise_invalid,
    resolve_table_length,
)
from kseq.layers.checked_layer import CheckedLayer
from kseq.layers.seeds import check_seed, nth_seed
from kseq.ops.positions import first_rows
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class BiasEncoding(CheckedLayer):
    r"""DSIN's bias: where in which session an item's feature stands.

    $$y_{s,bti} = x_{s,bti} + w_s + w_t + w_i$$

    with a trained number for each session $s$, step $t$ and feature $i$.

    Args:
        sess_max_count: the number of sessions.
        seed: the starting numbers' seed, or None for others each time.
        max_steps: how many steps the table has; None: as many as the longest
            session. Shorter sessions use its beginning.

    Call arguments:
        inputs: a list of `sess_max_count` sessions, each
            `(batch, steps, dim)`; one session may stand alone.

    Returns:
        A list of the sessions' shapes, in the compute dtype. Each session's
        mask is passed on.

    Raises:
        ValueError: an argument is out of range, there are more or fewer
            sessions, they are not of rank 3 or differ in batch size or `dim`,
            which is known and that for which the layer was built, one has more
            steps than the table, or neither `max_steps` nor any number of steps
            is known.

    Differences from DeepCTR:
        One session works: DeepCTR refuses `[x]`, and of `x` alone it takes the
        first example of the batch. Sessions may differ in steps. The three
        tables start with different seeds.

    Reference:
        Feng et al., Deep Session Interest Network, 2019, equation 2.

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
        seed: int | None = 1024,
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        sess_max_count = check_positive_int("sess_max_count", sess_max_count)
        seed = check_seed(seed)
        if max_steps is not None:
            max_steps = check_positive_int("max_steps", max_steps)
        super().__init__(**kwargs)
        self.sess_max_count = sess_max_count
        self.seed = seed
        self.max_steps = max_steps
        self.supports_masking = True

    def sessions(self, inputs: Any) -> list[Any]:
        """The sessions as a list; of tensors or of shapes."""
        alone = not isinstance(inputs, (list, tuple)) or is_shape(inputs)
        found = [inputs] if alone else list(inputs)
        if inputs is None or len(found) != self.sess_max_count:
            raise_invalid(
                "inputs",
                f"{self.sess_max_count} sessions",
                describe_inputs(inputs),
            )
        return found

    def named(self, inputs: Any) -> dict[str, Any]:
        sessions = self.sessions(inputs)
        return {f"session {i}": x for i, x in enumerate(sessions)}

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        for name, shape in shapes.items():
            check_rank(name, shape, (3,))
            self.check_width(name, shape)
            if self.built:
                check_max_steps(shape[1], self.seq_bias_embedding.shape[1])
        check_same_dim(0, **shapes)
        check_same_dim(-1, **shapes)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        shapes = self.sessions(input_shape)
        dim = check_known_dim("sessions", shapes[0], -1)
        steps = resolve_table_length(self.max_steps, *(s[1] for s in shapes))
        for shape in shapes:
            check_max_steps(shape[1], steps)
        self.sess_bias_embedding = self._table(
            "sess_bias_embedding", (self.sess_max_count, 1, 1), 0
        )
        self.seq_bias_embedding = self._table(
            "seq_bias_embedding", (1, steps, 1), 1
        )
        self.item_bias_embedding = self._table(
            "item_bias_embedding", (1, 1, dim), 2
        )

    def _table(self, name: str, shape: tuple[int, ...], i: int) -> Any:
        return self.add_weight(
            shape=shape,
            initializer=keras.initializers.TruncatedNormal(
                stddev=1e-4, seed=nth_seed(self.seed, i)
            ),
            name=name,
        )

    def call(self, inputs: Any) -> list[Tensor]:
        of_session = ops.convert_to_tensor(self.sess_bias_embedding)
        of_step = ops.convert_to_tensor(self.seq_bias_embedding)[0]
        of_item = ops.convert_to_tensor(self.item_bias_embedding)
        sessions = [
            ops.cast(x, self.compute_dtype) for x in self.sessions(inputs)
        ]
        return [
            x + of_item + first_rows(of_step, x) + of_session[i]
            for i, x in enumerate(sessions)
        ]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if isinstance(mask, (list, tuple)):
            return list(mask)
        return [mask] * self.sess_max_count

    def shape_of_output(self, input_shape: Any) -> list[Shape]:
        return [tuple(shape) for shape in self.sessions(input_shape)]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "sess_max_count": self.sess_max_count,
            "seed": self.seed,
            "max_steps": self.max_steps,
        }
