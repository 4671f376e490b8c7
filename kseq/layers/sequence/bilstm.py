from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_int,
    check_known_dim,
    check_one_of,
    check_positive_int,
    check_rank,
    check_rate,
    raise_invalid,
)
from kseq.layers.seeds import check_seed, nth_seed
from kseq.layers.sequence_layer import SequenceLayer
from kseq.ops.masks import zero_padding
from kseq.ops.recurrence import lstm
from kseq.types import Shape, Tensor

MERGE_MODES = ("fw", "bw", "sum", "mul", "ave", "concat", None)


@keras.saving.register_keras_serializable(package="kseq")
class BiLSTM(SequenceLayer):
    r"""Stacked LSTMs that read the sequence from both ends.

    Forward: $f^{(0)} = x$,
    $f^{(i+1)} = \overrightarrow{\mathrm{LSTM}}(f^{(i)})$,
    plus $f^{(i)}$ in the last `res_layers` layers. Backward $b^{(i)}$: the same
    from the last step to the first. The two stacks meet only at the end, by
    `merge_mode`. The LSTM is `kseq.ops.lstm`. What stands in padding changes
    nothing: the backward stack begins at the last step that counts.

    Args:
        units: the width of each LSTM.
        layers: how many are stacked.
        res_layers: to how many of the last layers their input is added.
        dropout_rate: the fraction of each layer's input features dropped in
            training, the same at all steps, in [0, 1).
        merge_mode: 'fw', 'bw': one of the two stacks; 'sum', 'mul', 'ave',
            'concat': both; None: a list of both.
        seed: an integer, or None for a different start each time.

    Call arguments:
        inputs: `x` or `[x, lengths]`. `x`: `(batch, steps, dim)`, `steps` may
            be unknown; `lengths`: `(batch,)` or `(batch, 1)`, integers or whole
            floats, clipped to [0, steps]. Without lengths and mask every step
            counts.
        mask: bool `(batch, steps)`, True where a step counts.
        training: whether to drop features.

    Returns:
        `(batch, steps, units)`, twice as wide with 'concat', two of them with
        None, in the compute dtype; 0 in steps that do not count. The mask is
        passed on.

    Raises:
        ValueError: an argument is out of range, `x` is no tensor of numbers of
            rank 3, its `dim` is another than the layer was built for, lengths
            or mask do not fit it, or a residual connects widths that differ.

    Differences from DeepCTR:
        Masks and lengths reach both stacks; in DeepCTR neither does. Any number
        of steps, without unrolling. A `seed`. The reported shape is the real
        one. A residual that does not fit is refused when the layer is built.

    Reference:
        Graves and Schmidhuber, Framewise Phoneme Classification with
        Bidirectional LSTM, 2005; Feng et al., Deep Session Interest Network,
        2019, section 3.3.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import BiLSTM
    >>> x = np.ones((2, 5, 3), "float32")
    >>> tuple(BiLSTM(4, merge_mode="concat")([x, np.array([5, 2])]).shape)
    (2, 5, 8)
    """

    features = ("x",)
    lengths_at = 1
    sequence_at = 0

    def __init__(
        self,
        units: int,
        layers: int = 2,
        res_layers: int = 0,
        dropout_rate: float = 0.2,
        merge_mode: str | None = "ave",
        seed: int | None = 1024,
        **kwargs: Any,
    ) -> None:
        units = check_positive_int("units", units)
        layers = check_positive_int("layers", layers)
        res_layers = check_int("res_layers", res_layers)
        if not 0 <= res_layers <= layers:
            raise_invalid("res_layers", f"0 to layers ({layers})", res_layers)
        dropout_rate = check_rate("dropout_rate", dropout_rate)
        merge_mode = check_one_of("merge_mode", merge_mode, MERGE_MODES)
        seed = check_seed(seed)
        super().__init__(supports_masking=True, **kwargs)
        self.units = units
        self.layers = layers
        self.res_layers = res_layers
        self.dropout_rate = dropout_rate
        self.merge_mode = merge_mode
        self.seed = seed

    def check_features(self, shapes: list[Shape]) -> None:
        (x,) = shapes
        check_rank("x", x, (3,))
        dim = check_known_dim("x", x, -1)
        self.check_width("x", x)
        if self.res_layers == self.layers and dim != self.units:
            raise_invalid(
                "res_layers",
                f"at most {self.layers - 1}, or units of the input's width "
                f"{dim}",
                f"{self.res_layers} with units {self.units}",
            )

    def check_steps_told(self, inputs: Any, mask: Any) -> None:
        """Without lengths and mask every step counts, as in DeepCTR."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        (x,), _ = self.split(input_shape)
        dims = [x[-1], *[self.units] * (self.layers - 1)]
        # DeepCTR's order: all of the forward stack, then the backward one.
        self.forward_weights = [
            self._lstm_weights(f"forward{i}", dim, 2 * i)
            for i, dim in enumerate(dims)
        ]
        self.backward_weights = [
            self._lstm_weights(f"backward{i}", dim, 2 * i + 1)
            for i, dim in enumerate(dims)
        ]
        self.dropouts = [
            keras.layers.Dropout(
                self.dropout_rate,
                noise_shape=(None, 1, None),  # the same at all steps
                seed=nth_seed(self.seed, i),
                dtype=self.dtype_policy,
                name=f"dropout{i}",
            )
            for i in range(2 * self.layers)
            if self.dropout_rate
        ]

    def _lstm_weights(self, name: str, dim: int, i: int) -> list[Any]:
        orthogonal = keras.initializers.Orthogonal(seed=nth_seed(self.seed, i))
        return [
            self.add_weight(
                shape=(dim, 4 * self.units),
                initializer=keras.initializers.GlorotUniform(
                    seed=nth_seed(self.seed, i)
                ),
                name=f"{name}_kernel",
            ),
            self.add_weight(
                shape=(self.units, 4 * self.units),
                # Drawn in float32: no backend orthogonalises in halves
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
        self, inputs: Any, mask: Any = None, training: bool | None = None
    ) -> Any:
        (x,), _ = self.unpack(inputs)
        valid = self.valid_steps(inputs, mask)
        x = zero_padding(x, valid)
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
        weights = self.backward_weights if reverse else self.forward_weights
        for i, of_layer in enumerate(weights):
            dropped = x
            if self.dropouts:
                dropout = self.dropouts[2 * i + reverse]
                dropped = dropout(x, training=training)
            kernel, recurrent_kernel, bias = of_layer
            out = lstm(dropped, valid, kernel, recurrent_kernel, bias, reverse)
            residual = i >= self.layers - self.res_layers
            x = out + x if residual else out
        return x

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = self.passed_mask(inputs, mask)
        return [mask, mask] if self.merge_mode is None else mask

    def shape_of_output(self, input_shape: Any) -> Any:
        (x,), _ = self.split(input_shape)
        width = self.units * (2 if self.merge_mode == "concat" else 1)
        shape = (x[0], x[1], width)
        return [shape, shape] if self.merge_mode is None else shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "layers": self.layers,
            "res_layers": self.res_layers,
            "dropout_rate": self.dropout_rate,
            "merge_mode": self.merge_mode,
            "seed": self.seed,
        }
