from collections.abc import Sequence

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_known_dim,
    check_nonnegative,
    check_positive_ints,
    check_rate,
)
from kseq.layers.base import Layer, nth_seed
from kseq.layers.core.activation import (
    call_options,
    check_activation,
    create_activation,
)
from kseq.layers.core.batch_normalization import BatchNormalization
from kseq.ops.linear import linear
from kseq.ops.masks import zero_padding
from kseq.types import (
    ActivationLike,
    InitializerLike,
    RegularizerLike,
    Shape,
    Tensor,
)


@keras.saving.register_keras_serializable(package="kseq")
class DNN(Layer):
    r"""A multilayer perceptron over the last axis.

    $$x_{i+1} = \mathrm{dropout}\bigl(f(\mathrm{bn}(x_i W_i + b_i))\bigr)$$

    Args:
        hidden_units: the width of each layer; without any, the output is the
            input.
        activation: $f$: the name of a Keras activation, 'dice', a function, or
            a Keras layer or its class, of which every layer gets a copy.
        l2_reg: the strength of the L2 penalty on the kernels.
        dropout_rate: the fraction of units dropped in training, in [0, 1).
        use_bn: whether to apply batch normalization before the activation.
        output_activation: the last layer's activation; None: `activation`.
        seed: an integer, or None for different numbers each time.
        kernel_initializer: the kernels' initializer; None: Glorot normal.
        kernel_regularizer: the kernels' penalty; None: that of `l2_reg`.

    Call arguments:
        inputs: `(batch, ..., dim)`.
        mask: bool `(batch, steps)` for inputs `(batch, steps, ..., dim)`.
            Padded steps are set to 0 and left out of batch statistics.
        training: whether to apply dropout and use the batch's statistics.

    Returns:
        `(batch, ..., hidden_units[-1])`, in the compute dtype. The mask is
        propagated.

    Raises:
        ValueError: an argument is out of range, `dim` is unknown or differs
            from that at build time, or the mask does not fit.

    Differences from DeepCTR:
        Kernels start from `seed`, `seed + 1` and so on, so that no two layers
        start with equal weights; the default seed is None and not 1024.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.core import DNN
    >>> tuple(DNN((8, 4))(np.ones((2, 3, 6), "float32")).shape)
    (2, 3, 4)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        activation: ActivationLike = "relu",
        l2_reg: float = 0,
        dropout_rate: float = 0,
        use_bn: bool = False,
        output_activation: ActivationLike | None = None,
        seed: int | None = None,
        kernel_initializer: InitializerLike | None = None,
        kernel_regularizer: RegularizerLike | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_units = check_positive_ints("hidden_units", hidden_units)
        self.activation = check_activation("activation", activation)
        self.l2_reg = check_nonnegative("l2_reg", l2_reg)
        self.dropout_rate = check_rate("dropout_rate", dropout_rate)
        self.use_bn = check_bool("use_bn", use_bn)
        if output_activation is not None:
            output_activation = check_activation(
                "output_activation", output_activation
            )
        self.output_activation = output_activation
        self.set_kernel_options(seed, kernel_initializer, kernel_regularizer)

    def build(self, input_shape: Shape) -> None:
        dims = (check_known_dim("inputs", input_shape, -1), *self.hidden_units)
        layers = range(len(self.hidden_units))
        if layers:
            self.input_spec = keras.layers.InputSpec(
                min_ndim=2, axes={-1: dims[0]}
            )
        penalty = keras.regularizers.L2(self.l2_reg) if self.l2_reg else None
        # DeepCTR's order: all kernels, then all biases, then the sublayers'.
        self.kernels = [
            self.add_kernel(
                f"kernel{i}",
                dims[i : i + 2],
                keras.initializers.GlorotNormal,
                i,
                penalty,
            )
            for i in layers
        ]
        self.biases = [
            self.add_weight(
                shape=(dims[i + 1],), initializer="zeros", name=f"bias{i}"
            )
            for i in layers
        ]
        shapes = [(*input_shape[:-1], units) for units in self.hidden_units]
        self.bn_layers = [
            self.add_sublayer(
                BatchNormalization, f"batch_normalization{i}", shape
            )
            for i, shape in enumerate(shapes)
            if self.use_bn
        ]
        self.dropout_layers = [
            self.add_sublayer(
                keras.layers.Dropout,
                f"dropout{i}",
                rate=self.dropout_rate,
                seed=nth_seed(self.seed, i),
            )
            for i in layers
            if self.dropout_rate
        ]
        activations = [self.activation for _ in layers]
        if self.output_activation is not None and activations:
            activations[-1] = self.output_activation
        self.activation_layers = [
            create_activation(activation, self.dtype_policy, f"activation{i}")
            for i, activation in enumerate(activations)
        ]
        # Whether examples are independent: a user's layer or function may use
        # statistics of the batch, as Dice does.
        self.is_rowwise = not self.use_bn and all(
            isinstance(a, str) and a.lower() != "dice" for a in activations
        )
        # Looked up here, since torch.compile cannot trace inspect.
        self._activation_options = [
            call_options(a) for a in self.activation_layers
        ]
        for layer, shape in zip(self.activation_layers, shapes, strict=True):
            if isinstance(layer, keras.layers.Layer):
                layer.build(shape)

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
        x = linear(x, self.kernels[0], self.biases[0])
        return self.after_first_kernel(x, mask, training)

    def after_first_kernel(
        self, x: Tensor, mask: Tensor | None, training: bool | None
    ) -> Tensor:
        """Apply everything after the first kernel."""
        options = {"mask": mask, "training": training}
        for i, activation in enumerate(self.activation_layers):
            if i > 0:
                x = linear(x, self.kernels[i], self.biases[i])
            if self.use_bn:
                x = self.bn_layers[i](x, mask=mask, training=training)
            # Passed explicitly, since Keras's call context does not hold the
            # `training` of a `stateless_call`.
            accepted = self._activation_options[i]
            x = activation(x, **{name: options[name] for name in accepted})
            if self.dropout_layers:
                x = self.dropout_layers[i](x, training=training)
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], *(self.hidden_units or input_shape)[-1:])
