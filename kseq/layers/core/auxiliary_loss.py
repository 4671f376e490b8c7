from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_known_dim,
    check_nonnegative,
    check_positive_ints,
    check_rank,
    check_same_dim,
)
from kseq.layers.core.activation import check_activation, serialize_activation
from kseq.layers.core.dnn import DNN
from kseq.layers.seeds import check_seed
from kseq.layers.sequence_layer import SequenceLayer
from kseq.ops.numerics import upcast
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class AuxiliaryLoss(SequenceLayer):
    r"""DIEN's auxiliary loss: a state has to tell the next click from another.

    $$L = -\frac{\alpha}{n} \sum_{b,t}
      \log \sigma(f([h_{bt}, x_{b,t+1}]))
      + \log(1 - \sigma(f([h_{bt}, z_{b,t+1}])))$$

    over the $n$ steps that count and have a next one that counts; $f$ is a DNN,
    $x$ the clicks and $z$ what was not clicked instead. The states go through
    unchanged: `states = AuxiliaryLoss()([states, clicks, negatives, lengths])`.

    Args:
        alpha: $\alpha$, at least 0.
        hidden_units: the widths of the DNN's hidden layers.
        activation: their activation, see `DNN`.
        seed: the DNN's, an integer or None.

    Call arguments:
        inputs: `[states, clicks, negatives, lengths]`, or the first three:
            `(batch, steps, units)`, twice `(batch, steps, dim)`, and `(batch,)`
            or `(batch, 1)`, integers or whole floats, clipped to [0, steps].
        mask: bool `(batch, steps)` of the states, or a list of each input's.
            With neither mask nor lengths every step counts, with both a step
            that both count.
        training: whether the activation uses the batch's statistics.

    Returns:
        The states, with their mask. The loss, in float32 or wider, is one of
        the layer's, and of its model's, `losses`.

    Raises:
        ValueError: an argument is out of range, the inputs' dtypes or shapes
            do not fit each other or what the layer was built for, or the mask
            does not fit the states.

    Differences from DeepCTR:
        There it is a function inside DIEN, which averages over padding too, and
        whose logarithm of a 0 is infinite. The loss of no steps is 0.

    Reference:
        Zhou et al., Deep Interest Evolution Network, 2019, equation 7.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.core import AuxiliaryLoss
    >>> layer = AuxiliaryLoss()
    >>> x = np.zeros((2, 5, 3), "float32")
    >>> states = layer([x, x, x, np.array([5, 2])])
    >>> tuple(states.shape), len(layer.losses)
    ((2, 5, 3), 1)
    """

    features = ("states", "clicks", "negatives")
    lengths_at = 3
    sequence_at = 0

    def __init__(
        self,
        alpha: float = 1.0,
        hidden_units: Any = (100, 50),
        activation: Any = "sigmoid",
        seed: int | None = 1024,
        **kwargs: Any,
    ) -> None:
        alpha = check_nonnegative("alpha", alpha)
        hidden_units = check_positive_ints("hidden_units", hidden_units)
        activation = check_activation("activation", activation)
        seed = check_seed(seed)
        # Mask and lengths both count.
        super().__init__(True, **kwargs)
        self.alpha = alpha
        self.hidden_units = hidden_units
        self.activation = activation
        self.seed = seed
        # Ends before the sigmoid: of a logit the logarithm is always finite.
        self.dnn = DNN(
            (*hidden_units, 1),
            activation,
            output_activation="linear",
            seed=seed,
            dtype=self.dtype_policy,
            name="dnn",
        )

    def check_features(self, shapes: list[Shape]) -> None:
        features = dict(zip(self.features, shapes, strict=True))
        for name, shape in features.items():
            check_rank(name, shape, (3,))
        check_same_dim(0, **features)
        check_same_dim(1, **features)
        for name in ("states", "clicks"):
            self.check_width(name, features[name])
        check_same_dim(
            -1, clicks=features["clicks"], negatives=features["negatives"]
        )

    def check_steps_told(self, inputs: Any, mask: Any) -> None:
        """With neither lengths nor mask every step counts."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        (states, clicks, _), _ = self.split(input_shape)
        dim = check_known_dim("states", states, -1)
        dim += check_known_dim("clicks", clicks, -1)
        self.dnn.build((*states[:-1], dim))

    def call(
        self, inputs: Any, mask: Any = None, training: bool | None = None
    ) -> Tensor:
        (states, clicks, negatives), _ = self.unpack(inputs)
        valid = self.valid_steps(inputs, mask)
        counts = ops.logical_and(valid[:, :-1], valid[:, 1:])

        def logits(candidates: Tensor) -> Tensor:
            pairs = ops.concatenate(
                [states[:, :-1], candidates[:, 1:]], axis=-1
            )
            return upcast(self.dnn(pairs, mask=counts, training=training))

        # -log sigmoid(x) is softplus(-x), -log(1 - sigmoid(x)) softplus(x).
        each = ops.softplus(-logits(clicks)) + ops.softplus(logits(negatives))
        each = ops.where(counts, ops.squeeze(each, -1), 0.0)
        n = ops.sum(ops.cast(counts, each.dtype))
        loss = ops.sum(each) / ops.where(n > 0, n, 1.0)
        self.add_loss(self.alpha * loss)
        return states

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.passed_mask(inputs, mask)

    def shape_of_output(self, input_shape: Any) -> Shape:
        (states, _, _), _ = self.split(input_shape)
        return tuple(states)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "hidden_units": self.hidden_units,
            "activation": serialize_activation(self.activation),
            "seed": self.seed,
        }
