from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_known_dim,
    check_optional_int,
    resolve_table_length,
)
from kseq.layers.base import SequenceLayer
from kseq.ops.masks import zero_padding
from kseq.ops.positions import first_rows, sinusoid, sinusoid_like
from kseq.ops.validation import known
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class PositionEncoding(SequenceLayer):
    r"""Adds to each step a vector that depends on its position.

    $$y_{bt} = x_{bt} + \sqrt{d}\, p_t$$

    with a table $p$ that is initialized with the Transformer's sinusoids
    (`kseq.ops.sinusoid`), and trained or fixed.

    Args:
        pos_embedding_trainable: whether the table is trained.
        zero_pad: True: the first position starts with zeros.
        scale: False: without the factor $\sqrt d$.
        max_steps: the length of the table; None: the length of the first input.
            Shorter sequences use its first rows. A longer sequence raises an
            error if the table is trained, and is computed if it is fixed. Set
            it if one layer is used for several lengths.

    Call arguments:
        inputs: `(batch, steps, dim)`.
        lengths: `(batch,)` or `(batch, 1)`: padded steps of the output are 0.
        mask: bool `(batch, steps)`: likewise.

    Returns:
        As `inputs`, in the compute dtype. Without lengths the mask is
        propagated.

    Raises:
        ValueError: an argument is out of range, the input is not of rank 3,
            `dim` is unknown or differs from that at build time, there are more
            steps than a trained table has, or neither `max_steps` nor `steps`
            is known.

    Differences from DeepCTR:
        A saved model is not bound to one length: DeepCTR's table has the length
        of the input and takes no other. `max_steps` allows an unknown number
        of steps. Lengths and masks are accepted.

    Reference:
        Vaswani et al., [Attention Is All You
        Need](https://arxiv.org/abs/1706.03762), 2017, section 3.5.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.layers.sequence import PositionEncoding
    >>> y = PositionEncoding(scale=False)(np.zeros((1, 2, 2), "float32"))
    >>> [round(float(v), 4) for v in keras.ops.convert_to_numpy(y)[0, 1]]
    [0.8415, 0.5403]
    """

    deepctr_inputs = ("inputs", "lengths")
    masked_input = "inputs"
    requires_mask = False
    keeps_steps = True

    def __init__(
        self,
        pos_embedding_trainable: bool = True,
        zero_pad: bool = False,
        scale: bool = True,
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pos_embedding_trainable = check_bool(
            "pos_embedding_trainable", pos_embedding_trainable
        )
        self.zero_pad = check_bool("zero_pad", zero_pad)
        self.scale = check_bool("scale", scale)
        self.max_steps = check_optional_int("max_steps", max_steps)

    def build(self, inputs_shape: Shape) -> None:
        dim = check_known_dim("inputs", inputs_shape, -1)
        steps = resolve_table_length(self.max_steps, inputs_shape[1])
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: dim})
        table = sinusoid(steps, dim)
        if self.zero_pad:
            table[0] = 0.0
        self.lookup_table = self.add_weight(
            shape=(steps, dim),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                table, dtype
            ),
            trainable=self.pos_embedding_trainable,
            name="lookup_table",
        )

    def call(
        self,
        inputs: Tensor,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        inputs_mask: Tensor | None = None,
    ) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        table = ops.cast(self.lookup_table, self.compute_dtype)
        steps, rows = known(x.shape[1]), table.shape[0]
        if not self.pos_embedding_trainable and (steps is None or steps > rows):
            # The table's own rows first: weights may have been loaded.
            computed = sinusoid_like(x)
            table = ops.concatenate([table, computed[rows:]], axis=0)
        table = first_rows(table, x)
        if self.scale:
            table = table * x.shape[-1] ** 0.5
        if lengths is None and mask is None and inputs_mask is None:
            return x + table
        valid = self.valid_steps(x, lengths, mask, inputs_mask)
        return zero_padding(x + table, valid)

    def get_build_config(self) -> dict[str, Any] | None:
        # A model is loaded with the table that it was saved with.
        if not self.built:
            return None
        steps, dim = self.lookup_table.shape
        return {"input_shape": (None, steps, dim)}


def positional_encoding(
    inputs: Tensor,
    pos_embedding_trainable: bool = True,
    zero_pad: bool = False,
    scale: bool = True,
    max_steps: int | None = None,
) -> Tensor:
    """Adds positions to a sequence with a new `PositionEncoding` layer.

    Args:
        inputs: `(batch, steps, dim)`, a tensor, symbolic or not.
        pos_embedding_trainable: see `PositionEncoding`.
        zero_pad: see `PositionEncoding`.
        scale: see `PositionEncoding`.
        max_steps: see `PositionEncoding`; required where `steps` is unknown.

    Returns:
        As `inputs`.

    Raises:
        ValueError: as `PositionEncoding`.

    Differences from DeepCTR:
        DeepCTR's function of TensorFlow 1 creates a variable by name; here the
        layer belongs to the functional model.

    Example:

    >>> import keras
    >>> from kseq.layers.sequence import positional_encoding
    >>> positional_encoding(keras.Input((5, 8))).shape
    (None, 5, 8)
    """
    layer = PositionEncoding(
        pos_embedding_trainable, zero_pad, scale, max_steps
    )
    return layer(inputs)
