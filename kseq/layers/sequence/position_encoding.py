from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_known_dim,
    check_max_steps,
    check_positive_int,
    check_rank,
    resolve_table_length,
)
from kseq.layers.checked_layer import CheckedLayer
from kseq.ops.positions import first_rows, sinusoid, sinusoid_like
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class PositionEncoding(CheckedLayer):
    r"""Adds to each step a vector that says where it stands.

    $$y_{bt} = x_{bt} + \sqrt{d}\, p_t$$

    with a table $p$ that begins as the Transformer's sinusoids
    (`kseq.ops.sinusoid`) and is trained, or stays as it is.

    Args:
        pos_embedding_trainable: whether the table is trained.
        zero_pad: True: the first position starts with zeros.
        scale: False: without the factor $\sqrt d$.
        max_steps: the table's length; None: the length of the first input. It
            serves every shorter sequence. A trained table is of no use to a
            longer one, which is refused; a fixed one is simply computed on.
            To be given where one layer is used at several lengths.

    Call arguments:
        inputs: `(batch, steps, dim)`.

    Returns:
        As `inputs`, in the compute dtype. The mask is passed on.

    Raises:
        ValueError: an argument is out of range, the input is no tensor of
            numbers of rank 3, `dim` is not known or another than the layer was
            built for, there are more steps than a trained table has, or neither
            `max_steps` nor `steps` is known.

    Differences from DeepCTR:
        A saved model is not tied to one length: DeepCTR's table has the length
        of the input and takes no other. `max_steps`, for unknown time.

    Reference:
        Vaswani et al., Attention Is All You Need, 2017, section 3.5.

    Example:

    >>> import keras, numpy as np
    >>> from kseq.layers.sequence import PositionEncoding
    >>> y = PositionEncoding(scale=False)(np.zeros((1, 2, 2), "float32"))
    >>> [round(float(v), 4) for v in keras.ops.convert_to_numpy(y)[0, 1]]
    [0.8415, 0.5403]
    """

    def __init__(
        self,
        pos_embedding_trainable: bool = True,
        zero_pad: bool = False,
        scale: bool = True,
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        pos_embedding_trainable = check_bool(
            "pos_embedding_trainable", pos_embedding_trainable
        )
        zero_pad = check_bool("zero_pad", zero_pad)
        scale = check_bool("scale", scale)
        if max_steps is not None:
            max_steps = check_positive_int("max_steps", max_steps)
        super().__init__(**kwargs)
        self.pos_embedding_trainable = pos_embedding_trainable
        self.zero_pad = zero_pad
        self.scale = scale
        self.max_steps = max_steps
        self.supports_masking = True

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        shape = shapes["inputs"]
        check_rank("inputs", shape, (3,))
        self.check_width("inputs", shape)
        if self.built and self.pos_embedding_trainable:
            check_max_steps(shape[1], self.lookup_table.shape[0])

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        dim = check_known_dim("inputs", input_shape, -1)
        steps = resolve_table_length(self.max_steps, input_shape[1])
        if self.pos_embedding_trainable:
            check_max_steps(input_shape[1], steps)
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

    def call(self, inputs: Tensor, mask: Any = None) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)
        table = ops.convert_to_tensor(self.lookup_table)
        steps, known = inputs.shape[1], table.shape[0]
        if not self.pos_embedding_trainable and (
            steps is None or steps > known
        ):
            # The table's own rows first: a model may have been given others.
            computed = sinusoid_like(inputs)
            table = ops.concatenate([table, computed[known:]], axis=0)
        table = first_rows(table, inputs)
        if self.scale:
            table = table * inputs.shape[-1] ** 0.5
        return inputs + table

    def shape_of_output(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pos_embedding_trainable": self.pos_embedding_trainable,
            "zero_pad": self.zero_pad,
            "scale": self.scale,
            "max_steps": self.max_steps,
        }

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
    """Adds positions to a sequence, by a new `PositionEncoding`.

    Args:
        inputs: `(batch, steps, dim)`, a tensor or a functional model's.
        pos_embedding_trainable: see `PositionEncoding`.
        zero_pad: see `PositionEncoding`.
        scale: see `PositionEncoding`.
        max_steps: see `PositionEncoding`; needed where steps are not known.

    Returns:
        As `inputs`.

    Raises:
        ValueError: as `PositionEncoding`.

    Differences from DeepCTR:
        DeepCTR's function of TensorFlow 1 makes a variable by name; here a
        functional model holds the layer.

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
