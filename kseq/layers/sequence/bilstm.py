from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_int,
    check_known_dim,
    check_one_of,
    check_positive_int,
    check_rate,
    raise_invalid,
)
from kseq.layers.base import SequenceLayer, nth_seed
from kseq.ops.masks import zero_padding
from kseq.ops.recurrence import lstm
from kseq.types import InitializerLike, RegularizerLike, Shape, Tensor

MERGE_MODES = ("fw", "bw", "sum", "mul", "ave", "concat", None)


@keras.saving.register_keras_serializable(package="kseq")
class BiLSTM(SequenceLayer):
    r"""Stacked LSTMs in both directions.

    Forward: $f^{(0)} = x$,
    $f^{(i+1)} = \overrightarrow{\mathrm{LSTM}}(f^{(i)})$,
    plus $f^{(i)}$ in the last `res_layers` layers. Backward $b^{(i)}$: the same
    from the last step to the first. The two stacks are merged at the end, by
    `merge_mode`. The LSTM is `kseq.ops.lstm`. Values in padded steps have no
    effect: the backward stack starts at the last valid step.

    Args:
        units: the width of each LSTM.
        layers: the number of LSTMs in each stack.
        res_layers: the number of last layers with a residual connection.
        dropout_rate: the fraction of each layer's input features dropped in
            training, the same in all steps, in [0, 1).
        merge_mode: 'fw', 'bw': one of the two stacks; 'sum', 'mul', 'ave',
            'concat': both; None: a list of both.
        seed: an integer, or None for different numbers each time.
        kernel_initializer: the input kernels' initializer; None: Glorot
            uniform.
        kernel_regularizer: the input kernels' penalty, or None.

    Call arguments:
        x: `(batch, steps, dim)`; `steps` may be unknown. The list form is `[x,
            lengths]`.
        lengths: `(batch,)` or `(batch, 1)`, integers or whole floats, clipped
            to [0, steps].
        mask: bool `(batch, steps)`. Without lengths and mask all steps are
            valid; with both, a step is valid if both include it.
        training: whether to apply dropout.

    Returns:
        `(batch, steps, units)`, twice as wide with 'concat', two of them with
        None, in the compute dtype; 0 in padded steps. Without lengths the mask
        is propagated.

    Raises:
        ValueError: an argument is out of range, the inputs' shapes do not fit
            each other or those at build time, or a residual connects different
            widths.

    Differences from DeepCTR:
        Masks and lengths reach both stacks; in DeepCTR neither does. The number
        of steps may vary, without unrolling. There is a `seed`. The reported
        shape is the actual one. A residual that does not fit raises at build
        time.

    Reference:
        Graves and Schmidhuber, [Framewise Phoneme Classification with
        Bidirectional LSTM](https://doi.org/10.1016/j.neunet.2005.06.042), 2005;
        Feng et al., [Deep Session Interest
        Network](https://arxiv.org/abs/1905.06482), 2019, section 3.3.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import BiLSTM
    >>> x = np.ones((2, 5, 3), "float32")
    >>> layer = BiLSTM(4, merge_mode="concat")
    >>> tuple(layer(x, lengths=np.array([5, 2])).shape)
    (2, 5, 8)
    """

    requires_mask = False
    keeps_steps = True

    def __init__(
        self,
        units: int,
        layers: int = 2,
        res_layers: int = 0,
        dropout_rate: float = 0.2,
        merge_mode: str | None = "ave",
        seed: int | None = None,
        kernel_initializer: InitializerLike | None = None,
        kernel_regularizer: RegularizerLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_positive_int("units", units)
        self.layers = check_positive_int("layers", layers)
        self.res_layers = check_int("res_layers", res_layers)
        if not 0 <= self.res_layers <= self.layers:
            raise_invalid("res_layers", f"0 to layers ({layers})", res_layers)
        self.dropout_rate = check_rate("dropout_rate", dropout_rate)
        self.merge_mode = check_one_of("merge_mode", merge_mode, MERGE_MODES)
        self.set_kernel_options(seed, kernel_initializer, kernel_regularizer)

    def build(self, x_shape: Shape) -> None:
        dim = check_known_dim("x", x_shape, -1)
        if self.res_layers == self.layers and dim != self.units:
            raise_invalid(
                "res_layers",
                f"at most {self.layers - 1}, or units of the input's width "
                f"{dim}",
                f"{self.res_layers} with units {self.units}",
            )
        dims = [dim, *[self.units] * (self.layers - 1)]
        # DeepCTR's order: all of the forward stack, then the backward one.
        self.stacks = [
            [
                self._lstm_weights(f"{direction}{i}", dim, 2 * i + reverse)
                for i, dim in enumerate(dims)
            ]
            for reverse, direction in enumerate(("forward", "backward"))
        ]
        self.dropouts = [
            self.add_sublayer(
                keras.layers.Dropout,
                f"dropout{i}",
                rate=self.dropout_rate,
                noise_shape=(None, 1, None),  # the same in all steps
                seed=nth_seed(self.seed, i),
            )
            for i in range(2 * self.layers)
            if self.dropout_rate
        ]

    def _lstm_weights(self, name: str, dim: int, i: int) -> list[Any]:
        orthogonal = keras.initializers.Orthogonal(seed=nth_seed(self.seed, i))
        return [
            self.add_kernel(
                f"{name}_kernel",
                (dim, 4 * self.units),
                keras.initializers.GlorotUniform,
                i,
            ),
            self.add_weight(
                shape=(self.units, 4 * self.units),
                # In float32, since no backend orthogonalizes half precision
                # (docs/upstream/orthogonal_float16.py).
                initializer=lambda shape, dtype=None: ops.cast(
                    orthogonal(shape, "float32"), dtype
                ),
                name=f"{name}_recurrent_kernel",
            ),
            self.add_weight(
                shape=(4 * self.units,),
                initializer="ones",
                name=f"{name}_bias",
            ),
        ]

    def call(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        x_mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Any:
        valid = self.valid_steps(x, lengths, mask, x_mask)
        x = zero_padding(ops.cast(x, self.compute_dtype), valid)
        if self.merge_mode in ("fw", "bw"):
            reverse = self.merge_mode == "bw"
            return self._stack(x, valid, training, reverse)
        forward = self._stack(x, valid, training, reverse=False)
        backward = self._stack(x, valid, training, reverse=True)
        match self.merge_mode:
            case "sum":
                return forward + backward
            case "mul":
                return forward * backward
            case "ave":
                return (forward + backward) / 2
            case "concat":
                return ops.concatenate([forward, backward], axis=-1)
        return [forward, backward]

    def _stack(
        self, x: Tensor, valid: Tensor, training: bool | None, reverse: bool
    ) -> Tensor:
        for i, weights in enumerate(self.stacks[reverse]):
            dropped = x
            if self.dropouts:
                dropped = self.dropouts[2 * i + reverse](x, training=training)
            y = lstm(dropped, valid, *weights, reverse=reverse)
            x = y + x if i >= self.layers - self.res_layers else y
        return x

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Any:
        mask = super().compute_mask(inputs, mask)
        return [mask, mask] if self.merge_mode is None else mask

    def compute_output_shape(self, x_shape: Shape) -> Any:
        width = self.units * (2 if self.merge_mode == "concat" else 1)
        shape = (*x_shape[:2], width)
        return [shape, shape] if self.merge_mode is None else shape
