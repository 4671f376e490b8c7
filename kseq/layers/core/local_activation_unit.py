from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_known_dim,
    check_rank,
    check_same_dim,
    describe_inputs,
    is_shape,
    raise_invalid,
)
from kseq.layers.checked_layer import CheckedLayer, check_fits
from kseq.layers.core.activation import serialize_activation
from kseq.layers.core.dnn import DNN
from kseq.ops.attention import add_keys, cut_kernel, faster_form
from kseq.ops.masks import zero_padding
from kseq.ops.numerics import linear
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class LocalActivationUnit(CheckedLayer):
    r"""DIN's scorer: how much each step of a history says about a candidate.

    $$s_{tk} = w \cdot
      \mathrm{DNN}([q_k,\; x_t,\; q_k - x_t,\; q_k \odot x_t]) + b$$

    Args:
        hidden_units: the widths of the DNN's layers; none at all scores the
            concatenation itself.
        activation: the DNN's activation, see `DNN`.
        l2_reg: the L2 penalty's strength on the DNN's kernels.
        dropout_rate: the fraction of units dropped in training, in [0, 1).
        use_bn: whether batch normalisation stands before the activation.
        seed: an integer, or None for a different start each time.

    Call arguments:
        inputs: `[query, keys]`, `(batch, candidates, dim)` and
            `(batch, steps, dim)`.
        mask: bool `(batch, steps)` of the keys, or `[None, mask]`. Steps that
            do not count are taken as 0, and stay out of batch statistics.
        training: whether to drop units and use the batch's statistics.

    Returns:
        Scores `(batch, steps, candidates)`, in the compute dtype. The keys'
        mask is passed on.

    Raises:
        ValueError: an argument is out of range, inputs are not two, not of rank
            3, or differ in batch size or `dim`, which is known and that for
            which the layer was built, or the mask does not fit.

    Differences from DeepCTR:
        Any number of candidates; `steps` may be unknown; the concatenation is
        never made (`kseq.ops.din_hidden`), the weights are the same.

    Reference:
        Zhou et al., Deep Interest Network, 2018, section 4.3.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.core import LocalActivationUnit
    >>> query = np.ones((2, 1, 4), "float32")
    >>> keys = np.ones((2, 5, 4), "float32")
    >>> tuple(LocalActivationUnit((8,))([query, keys]).shape)
    (2, 5, 1)
    """

    def __init__(
        self,
        hidden_units: Any = (64, 32),
        activation: Any = "sigmoid",
        l2_reg: float = 0,
        dropout_rate: float = 0,
        use_bn: bool = False,
        seed: int | None = 1024,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # The DNN checks its arguments.
        self.dnn = DNN(
            hidden_units,
            activation,
            l2_reg,
            dropout_rate,
            use_bn,
            seed=seed,
            dtype=self.dtype_policy,
            name="dnn",
        )
        self.hidden_units = self.dnn.hidden_units
        self.activation = self.dnn.activation
        self.l2_reg = self.dnn.l2_reg
        self.dropout_rate = self.dnn.dropout_rate
        self.use_bn = self.dnn.use_bn
        self.seed = self.dnn.seed
        self.supports_masking = True

    def named(self, inputs: Any) -> dict[str, Any]:
        query, keys = self._pair(inputs)
        return {"query": query, "keys": keys}

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        query, keys = shapes["query"], shapes["keys"]
        check_rank("query", query, (3,))
        check_rank("keys", keys, (3,))
        check_same_dim(0, query=query, keys=keys)
        check_same_dim(-1, query=query, keys=keys)
        self.check_width("keys", keys)

    def check_mask(self, mask: Any, tensors: dict[str, Any]) -> None:
        check_fits(self._mask_of_keys(mask), rank=2, keys=tensors["keys"])

    def build(self, input_shape: list[Shape]) -> None:
        super().build(input_shape)
        _, keys = self._pair(input_shape)
        concatenated = 4 * check_known_dim("keys", keys, -1)
        self.kernel = self.add_weight(
            shape=((concatenated, *self.dnn.hidden_units)[-1], 1),
            initializer=keras.initializers.GlorotNormal(seed=self.dnn.seed),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(1,), initializer="zeros", name="bias"
        )
        self.dnn.build((*keys[:-1], concatenated))

    def call(
        self,
        inputs: list[Tensor],
        mask: Any = None,
        training: bool | None = None,
    ) -> Tensor:
        query, keys = self._pair(inputs)
        query = ops.cast(query, self.compute_dtype)
        keys = ops.cast(keys, self.compute_dtype)
        valid = self._mask_of_keys(mask)
        if valid is not None:
            keys = zero_padding(keys, valid)
        scores = self.scores(query, keys, valid, training)
        return ops.transpose(scores, (0, 2, 1))

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        valid: Tensor | None,
        training: bool | None,
    ) -> Tensor:
        """Scores `(batch, candidates, steps)` of keys whose padding is 0."""
        from_query, score = self.scorer(query, keys, training)
        return score(query, from_query, keys, valid)

    def scorer(
        self, query: Tensor, keys: Tensor, training: bool | None
    ) -> tuple[Tensor, Callable[..., Tensor]]:
        """What is made once of all queries, and the scorer of any of them.

        Returns:
            The queries' part of the first layer, and a function of some
            queries, their part, their keys and `valid`, that gives `scores`.
        """
        form = faster_form(*keys.shape[1:])
        outer = ops.cast(self.kernel, self.compute_dtype)
        outer_bias = ops.cast(self.bias, self.compute_dtype)
        hidden = bool(self.dnn.hidden_units)
        kernel, bias = self.dnn.weights_of(0) if hidden else (outer, outer_bias)
        of_query, of_keys, of_both = cut_kernel(kernel)

        def score(
            query: Tensor, from_query: Tensor, keys: Tensor, valid: Any
        ) -> Tensor:
            x = add_keys(from_query, query, keys, of_keys, of_both, form)
            batch, candidates, steps, units = ops.shape(x)
            if hidden:
                # To the net each candidate is an example of its own, so that
                # any activation layer sees `(batch, steps, units)`.
                x = ops.reshape(x, (batch * candidates, steps, units))
                if valid is not None:
                    shape = (batch, candidates, steps)
                    valid = ops.broadcast_to(ops.expand_dims(valid, 1), shape)
                    valid = ops.reshape(valid, (batch * candidates, steps))
                x = self.dnn.finish(x, valid, training)
                x = linear(x, outer, outer_bias)
            return ops.reshape(x, (batch, candidates, steps))

        return linear(query, of_query, bias), score

    def _mask_of_keys(self, mask: Any) -> Any:
        if not isinstance(mask, (list, tuple)):
            return mask
        if len(mask) != 2:
            raise_invalid(
                "mask",
                "that of the keys, or [None, that]",
                describe_inputs(mask),
            )
        return mask[1]

    def _pair(self, inputs: Any) -> tuple[Any, Any]:
        ok = isinstance(inputs, (list, tuple)) and not is_shape(inputs)
        if not ok or len(inputs) != 2:
            raise_invalid("inputs", "[query, keys]", describe_inputs(inputs))
        return inputs[0], inputs[1]

    def shape_of_output(self, input_shape: list[Shape]) -> Shape:
        query, keys = self._pair(input_shape)
        return (keys[0], keys[1], query[1])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self._mask_of_keys(mask)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": serialize_activation(self.activation),
            "l2_reg": self.l2_reg,
            "dropout_rate": self.dropout_rate,
            "use_bn": self.use_bn,
            "seed": self.seed,
        }
