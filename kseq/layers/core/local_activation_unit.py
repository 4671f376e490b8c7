from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseq.checks import check_known_dim
from kseq.layers.base import SequenceLayer
from kseq.layers.core.dnn import DNN
from kseq.ops.attention import din_hidden
from kseq.ops.backends import reshape
from kseq.ops.linear import linear
from kseq.ops.masks import zero_padding
from kseq.ops.validation import known, takes
from kseq.types import ActivationLike, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class LocalActivationUnit(SequenceLayer):
    r"""DIN's scorer: the relevance of each step of a history to a candidate.

    $$s_{tk} = w \cdot
      \mathrm{DNN}([q_k,\; x_t,\; q_k - x_t,\; q_k \odot x_t]) + b$$

    Args:
        hidden_units: the widths of the DNN's layers; without any, the
            concatenation itself is scored.
        activation: the DNN's activation, see `DNN`.
        l2_reg: the strength of the L2 penalty on the DNN's kernels.
        dropout_rate: the fraction of units dropped in training, in [0, 1).
        use_bn: whether to apply batch normalization before the activation.
        seed: an integer, or None for different numbers each time.

    Call arguments:
        query: `(batch, candidates, dim)`.
        keys: `(batch, steps, dim)`; DeepCTR's list is `[query, keys]`.
        lengths: `(batch,)` or `(batch, 1)`.
        keys_mask: bool `(batch, steps)`. Padded steps are set to 0 and left out
            of batch statistics.
        training: whether to apply dropout and use the batch's statistics.

    Returns:
        Scores `(batch, steps, candidates)`, in the compute dtype.

    Raises:
        ValueError: an argument is out of range, the inputs' shapes do not fit
            each other or those at build time, or the mask does not fit.

    Differences from DeepCTR:
        The number of candidates is free; `steps` may be unknown; the
        concatenation is never computed (`kseq.ops.din_hidden`), with the same
        weights.

    Reference:
        Zhou et al., [Deep Interest Network](https://arxiv.org/abs/1706.06978),
        2018, section 4.3.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.core import LocalActivationUnit
    >>> query = np.ones((2, 1, 4), "float32")
    >>> keys = np.ones((2, 5, 4), "float32")
    >>> tuple(LocalActivationUnit((8,))([query, keys]).shape)
    (2, 5, 1)
    """

    deepctr_inputs = ("query", "keys")
    masked_input = "keys"
    requires_mask = False

    def __init__(
        self,
        hidden_units: Sequence[int] = (64, 32),
        activation: ActivationLike = "sigmoid",
        l2_reg: float = 0,
        dropout_rate: float = 0,
        use_bn: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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

    def build(self, query_shape: Shape, keys_shape: Shape) -> None:
        width = 4 * check_known_dim("keys", keys_shape, -1)
        self.kernel = self.add_weight(
            shape=((width, *self.hidden_units)[-1], 1),
            initializer=keras.initializers.GlorotNormal(seed=self.seed),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(1,), initializer="zeros", name="bias"
        )
        self.dnn.build((*keys_shape[:-1], width))

    @takes(query="any batch candidates dim", keys="any batch steps dim")
    def call(
        self,
        query: Tensor,
        keys: Tensor,
        lengths: Tensor | None = None,
        keys_mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        valid = self.valid_steps(keys, lengths, keys_mask)
        query = ops.cast(query, self.compute_dtype)
        keys = zero_padding(ops.cast(keys, self.compute_dtype), valid)
        scores = self.scores(query, keys, valid, training)
        return ops.transpose(scores, (0, 2, 1))

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        valid: Tensor,
        training: bool | None,
        candidates_mask: Tensor | None = None,
    ) -> Tensor:
        """Scores `(batch, candidates, steps)` of keys whose padding is 0."""
        if not self.hidden_units:
            return din_hidden(query, keys, self.kernel, self.bias)[..., 0]
        x = din_hidden(query, keys, self.dnn.kernels[0], self.dnn.biases[0])
        batch, candidates, steps, units = ops.shape(x)
        # The network treats each candidate as an example, so that activation
        # layers see (batch, steps, units).
        x = reshape(x, (batch * candidates, steps, units))
        if known(query.shape[1]) != 1 or candidates_mask is not None:
            valid = ops.expand_dims(valid, 1)
            if candidates_mask is not None:
                candidates_mask = ops.expand_dims(candidates_mask, 2)
                valid = ops.logical_and(valid, candidates_mask)
            valid = ops.broadcast_to(valid, (batch, candidates, steps))
            valid = reshape(valid, (batch * candidates, steps))
        x = self.dnn.after_first_kernel(x, valid, training)
        x = linear(x, self.kernel, self.bias)
        return reshape(x, (batch, candidates, steps))

    def compute_output_shape(
        self, query_shape: Shape, keys_shape: Shape
    ) -> Shape:
        return (keys_shape[0], keys_shape[1], query_shape[1])
