from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_known_dim,
    check_min_rank,
    check_nonnegative,
    check_positive_ints,
    check_rate,
)
from kseq.layers.checked_layer import CheckedLayer
from kseq.layers.core.activation import (
    activation_layer,
    call_parameters,
    check_activation,
    serialize_activation,
)
from kseq.layers.core.batch_normalization import BatchNormalization
from kseq.layers.seeds import check_seed, nth_seed
from kseq.ops.masks import zero_padding
from kseq.ops.numerics import linear
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class DNN(CheckedLayer):
    r"""A multi-layer perceptron over the last axis.

    $$x_{i+1} = \mathrm{dropout}\bigl(f(\mathrm{bn}(x_i W_i + b_i))\bigr)$$

    Args:
        hidden_units: the width of each layer; none at all gives the input.
        activation: $f$, the name of a Keras activation, 'dice', a function, or
            a layer or its class, which is made anew for every layer.
        l2_reg: the L2 penalty's strength on the kernels.
        dropout_rate: the fraction of units dropped in training, in [0, 1).
        use_bn: whether batch normalisation stands before the activation.
        output_activation: the last layer's activation; None: as the others'.
        seed: an integer, or None for a different start each time.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)` for inputs `(batch, steps, ..., dim)`: other
            steps are taken as 0, and stay out of batch statistics. None: every
            step counts.
        training: whether to drop units and use the batch's statistics.

    Returns:
        `(batch, ..., hidden_units[-1])`, in the compute dtype. The mask is
        passed on.

    Raises:
        ValueError: an argument is out of range, `dim` is not known or another
            than the layer was built for, or the mask does not fit.

    Differences from DeepCTR:
        The kernels' starting values come from `seed`, `seed + 1` and so on, so
        that no two layers begin alike.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.core import DNN
    >>> tuple(DNN((8, 4))(np.ones((2, 3, 6), "float32")).shape)
    (2, 3, 4)
    """

    def __init__(
        self,
        hidden_units: Any,
        activation: Any = "relu",
        l2_reg: float = 0,
        dropout_rate: float = 0,
        use_bn: bool = False,
        output_activation: Any = None,
        seed: int | None = 1024,
        **kwargs: Any,
    ) -> None:
        hidden_units = check_positive_ints("hidden_units", hidden_units)
        activation = check_activation("activation", activation)
        l2_reg = check_nonnegative("l2_reg", l2_reg)
        dropout_rate = check_rate("dropout_rate", dropout_rate)
        use_bn = check_bool("use_bn", use_bn)
        if output_activation is not None:
            output_activation = check_activation(
                "output_activation", output_activation
            )
        seed = check_seed(seed)
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.activation = activation
        self.l2_reg = l2_reg
        self.dropout_rate = dropout_rate
        self.use_bn = use_bn
        self.output_activation = output_activation
        self.seed = seed
        self.supports_masking = True

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        check_min_rank("inputs", shapes["inputs"], 2)
        if self.hidden_units:
            self.check_width("inputs", shapes["inputs"])

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        dims = (check_known_dim("inputs", input_shape, -1), *self.hidden_units)
        layers = range(len(self.hidden_units))
        # DeepCTR's order: all kernels, then all biases, then the sublayers'.
        self.kernels = [
            self.add_weight(
                shape=(dims[i], dims[i + 1]),
                initializer=keras.initializers.GlorotNormal(
                    seed=nth_seed(self.seed, i)
                ),
                regularizer=keras.regularizers.L2(self.l2_reg)
                if self.l2_reg
                else None,
                name=f"kernel{i}",
            )
            for i in layers
        ]
        self.biases = [
            self.add_weight(
                shape=(dims[i + 1],), initializer="zeros", name=f"bias{i}"
            )
            for i in layers
        ]
        self.bn_layers = [
            BatchNormalization(
                dtype=self.dtype_policy, name=f"batch_normalization{i}"
            )
            for i in layers
            if self.use_bn
        ]
        self.dropout_layers = [
            keras.layers.Dropout(
                self.dropout_rate,
                seed=nth_seed(self.seed, i),
                dtype=self.dtype_policy,
                name=f"dropout{i}",
            )
            for i in layers
            if self.dropout_rate
        ]
        activations = [self.activation for _ in layers]
        if self.output_activation is not None and activations:
            activations[-1] = self.output_activation
        self.activation_layers = [
            activation_layer(activation, self.dtype_policy, f"activation{i}")
            for i, activation in enumerate(activations)
        ]
        # Whether an example's result depends on that example alone; of what is
        # not Keras's own, nobody knows.
        self.by_example = not self.use_bn and all(
            a is None or (isinstance(a, str) and a.lower() != "dice")
            for a in activations
        )
        # Looked up here: torch.compile cannot look into a signature.
        self._asked = [call_parameters(a) for a in self.activation_layers]
        for i in layers:
            shape = (*input_shape[:-1], dims[i + 1])
            for sublayers in (
                self.bn_layers,
                self.activation_layers,
                self.dropout_layers,
            ):
                if sublayers:
                    sublayers[i].build(shape)

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        if mask is not None:
            x = zero_padding(x, mask)
        if not self.hidden_units:
            return x
        return self.finish(self.linear(0, x), mask, training)

    def linear(self, i: int, x: Tensor) -> Tensor:
        """Layer `i` before its activation."""
        return linear(x, *self.weights_of(i))

    def weights_of(self, i: int) -> tuple[Tensor, Tensor]:
        """Layer `i`'s kernel and bias in the compute dtype."""
        # Cast here, since LocalActivationUnit reads them outside of `call`.
        return (
            ops.cast(self.kernels[i], self.compute_dtype),
            ops.cast(self.biases[i], self.compute_dtype),
        )

    def finish(
        self, x: Tensor, mask: Tensor | None, training: bool | None
    ) -> Tensor:
        """The rest of the net, from the first layer's sums on."""
        for i in range(len(self.hidden_units)):
            if i > 0:
                x = self.linear(i, x)
            if self.use_bn:
                x = self.bn_layers[i](x, mask=mask, training=training)
            # Keras hands `training` down, but not from a `stateless_call`.
            options = {"mask": mask, "training": training}
            x = self.activation_layers[i](
                x, **{n: options[n] for n in options if n in self._asked[i]}
            )
            if self.dropout_layers:
                x = self.dropout_layers[i](x, training=training)
        return x

    def shape_of_output(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], *(self.hidden_units or input_shape)[-1:])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": serialize_activation(self.activation),
            "l2_reg": self.l2_reg,
            "dropout_rate": self.dropout_rate,
            "use_bn": self.use_bn,
            "output_activation": serialize_activation(self.output_activation),
            "seed": self.seed,
        }
