from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseq.checks import check_known_dim, check_nonnegative, check_positive_ints
from kseq.layers.base import SequenceLayer
from kseq.layers.core.dnn import DNN
from kseq.ops.numerics import upcast
from kseq.ops.validation import takes
from kseq.types import ActivationLike, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class AuxiliaryLoss(SequenceLayer):
    r"""DIEN's auxiliary loss, which trains states to predict the next click.

    $$L = -\frac{\alpha}{n} \sum_{b,t}
      \log \sigma(f([h_{bt}, x_{b,t+1}]))
      + \log(1 - \sigma(f([h_{bt}, z_{b,t+1}])))$$

    over the $n$ valid steps whose next step is valid too; $f$ is a DNN, $x$ the
    clicked items and $z$ items that were not clicked. The states are returned
    unchanged: `states = AuxiliaryLoss()(states, clicks, negatives, lengths=n)`.

    Args:
        alpha: $\alpha$, at least 0.
        hidden_units: the widths of the DNN's hidden layers.
        activation: their activation, see `DNN`.
        seed: the DNN's seed, an integer or None.

    Call arguments:
        states: `(batch, steps, units)`.
        clicks: `(batch, steps, dim)`.
        negatives: as `clicks`. The list form is `[states, clicks, negatives,
            lengths]`, or without lengths.
        lengths: `(batch,)` or `(batch, 1)`, integers or whole floats, clipped
            to [0, steps].
        mask: bool `(batch, steps)` of the states. Without lengths and mask all
            steps are valid.
        training: whether the activation uses the batch's statistics.

    Returns:
        The states. The loss, in float32 or wider, is added to the `losses` of
        the layer and of its model.

    Raises:
        ValueError: an argument is out of range, or the inputs' shapes do not
            fit each other or those at build time.

    Differences from DeepCTR:
        There it is a function inside DIEN that averages over padding too, and
        may take the logarithm of 0. Here the loss of no valid steps is 0.

    Reference:
        Zhou et al., [Deep Interest Evolution
        Network](https://arxiv.org/abs/1809.03672), 2019, equation 7.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.core import AuxiliaryLoss
    >>> layer = AuxiliaryLoss()
    >>> x = np.zeros((2, 5, 3), "float32")
    >>> states = layer(x, x, x, lengths=np.array([5, 2]))
    >>> tuple(states.shape), len(layer.losses)
    ((2, 5, 3), 1)
    """

    deepctr_inputs = ("states", "clicks", "negatives", "lengths")
    masked_input = "states"
    requires_mask = False
    keeps_steps = True

    def __init__(
        self,
        alpha: float = 1.0,
        hidden_units: Sequence[int] = (100, 50),
        activation: ActivationLike = "sigmoid",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha = check_nonnegative("alpha", alpha)
        self.hidden_units = check_positive_ints("hidden_units", hidden_units)
        # The DNN returns logits, whose softplus is always finite.
        self.dnn = DNN(
            (*self.hidden_units, 1),
            activation,
            output_activation="linear",
            seed=seed,
            dtype=self.dtype_policy,
            name="dnn",
        )
        self.activation = self.dnn.activation
        self.seed = self.dnn.seed

    def build(
        self, states_shape: Shape, clicks_shape: Shape, negatives_shape: Shape
    ) -> None:
        dim = check_known_dim("states", states_shape, -1)
        dim += check_known_dim("clicks", clicks_shape, -1)
        self.dnn.build((*states_shape[:-1], dim))

    @takes(
        states="any batch steps units",
        clicks="any batch steps dim",
        negatives="any batch steps dim",
    )
    def call(
        self,
        states: Tensor,
        clicks: Tensor,
        negatives: Tensor,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        states_mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        valid = self.valid_steps(states, lengths, mask, states_mask)
        states, clicks, negatives = (
            ops.cast(x, self.compute_dtype) for x in (states, clicks, negatives)
        )
        valid = ops.logical_and(valid[:, :-1], valid[:, 1:])

        def logits(items: Tensor) -> Tensor:
            pairs = ops.concatenate([states[:, :-1], items[:, 1:]], axis=-1)
            return upcast(self.dnn(pairs, mask=valid, training=training))

        # -log sigmoid(x) is softplus(-x), -log(1 - sigmoid(x)) softplus(x).
        each = ops.softplus(-logits(clicks)) + ops.softplus(logits(negatives))
        each = ops.where(valid, ops.squeeze(each, -1), 0.0)
        n = ops.sum(ops.cast(valid, each.dtype))
        loss = ops.sum(each) / ops.where(n > 0, n, 1.0)
        self.add_loss(self.alpha * loss)
        return states

    def rematerialized_call(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        # JAX and TensorFlow would lose the loss.
        return call

    def compute_output_shape(
        self, states_shape: Shape, clicks_shape: Shape, negatives_shape: Shape
    ) -> Shape:
        return states_shape
