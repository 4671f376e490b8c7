from typing import Any

import keras
from keras import ops

from kseq.checks import (
    check_bool,
    check_known_dim,
    check_one_of,
    check_optional_int,
    describe_inputs,
    raise_invalid,
)
from kseq.layers.base import SequenceLayer, first_mask
from kseq.ops.dtypes import dtype_of
from kseq.ops.recurrence import AUGRU_FORMS, GRU_TYPES, gru
from kseq.ops.validation import known
from kseq.types import InitializerLike, RegularizerLike, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class DynamicGRU(SequenceLayer):
    r"""DIEN's recurrent layer: a GRU whose updates may depend on attention.

    $$h_t = h_{t-1} + w_t \odot (c_t - h_{t-1})$$

    with the gates and $w_t$ of `kseq.ops.gru`: $1 - u_t$ for GRU and AIGRU, the
    score $a_t$ for AGRU, $1 - (1 - a_t) u_t$ for AUGRU. In padded steps the
    state is carried over and the output is 0. An empty history gives 0, or the
    initial state. Values in padded steps have no effect.

    Args:
        num_units: the width of the state; None: the width of the input.
        gru_type: 'GRU', 'AIGRU' (the same layer, for inputs multiplied by the
            scores), 'AGRU' or 'AUGRU'.
        return_sequence: True: the output is the state after each step; False:
            the state after the last valid step, with a time axis of 1.
        return_state: True: the last state, `(batch, units)`, is a second
            output, which a later call can continue from.
        augru_form: AUGRU as in 'deepctr', or as in the 'paper':
            $w_t = a_t u_t$.
        seed: the kernels' seed, an integer or None.
        kernel_initializer: the kernels' initializer; None: Glorot uniform.
        kernel_regularizer: the kernels' penalty, or None.
        reset_after: whether the reset gate multiplies the state after its
            projection, which then has a bias, as in PyTorch's GRU.

    Call arguments:
        x: `(batch, steps, dim)`; `steps` may be unknown. DeepCTR's list is
            `[x, lengths]`, for AGRU and AUGRU `[x, lengths, scores]`; lengths
            may be left out with a mask.
        scores: `(batch, steps)` or `(batch, steps, 1)`; or `(batch, candidates,
            steps)`, as attention returns them, for one unit for each candidate.
            Required by AGRU and AUGRU; AIGRU multiplies the input by them.
        lengths: `(batch,)` or `(batch, 1)`, integers or whole floats, clipped
            to [0, steps].
        initial_state: `(batch, units)`, the state before the first step; None:
            0.
        mask: bool `(batch, steps)` of `x`. Required without lengths; with
            lengths a step is valid if both include it.

    Returns:
        `(batch, steps, units)`, or `(batch, 1, units)` without
        `return_sequence`; for several candidates `(batch, steps, candidates,
        units)`, or `(batch, candidates, units)`. With `return_state` a tuple of
        this and the state. In the compute dtype. A sequence propagates the mask
        where there are no lengths.

    Raises:
        ValueError: an argument is out of range, the inputs' shapes do not fit
            each other or those at build time, scores are missing or not used by
            `gru_type`, or neither lengths nor a mask is given.

    Differences from DeepCTR:
        The weights of AGRU and AUGRU are trained and saved; in DeepCTR 0.9.4
        they are neither. Two layers of one name share nothing. Batches of one
        history work. The reported shape follows `num_units`. There are
        masks, `initial_state`, `return_state`, `reset_after` and the paper's
        AUGRU.

    Reference:
        Zhou et al., [Deep Interest Evolution
        Network](https://arxiv.org/abs/1809.03672), 2019, section 4.3.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import DynamicGRU
    >>> layer = DynamicGRU(4, "AUGRU")
    >>> x = np.ones((2, 5, 3), "float32")
    >>> scores = np.ones((2, 5, 1), "float32")
    >>> tuple(layer(x, scores, lengths=np.array([5, 2])).shape)
    (2, 5, 4)
    """

    def __init__(
        self,
        num_units: int | None = None,
        gru_type: str = "GRU",
        return_sequence: bool = True,
        return_state: bool = False,
        augru_form: str = "deepctr",
        seed: int | None = None,
        kernel_initializer: InitializerLike | None = None,
        kernel_regularizer: RegularizerLike | None = None,
        reset_after: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_units = check_optional_int("num_units", num_units)
        self.gru_type = check_one_of("gru_type", gru_type, GRU_TYPES)
        self.return_sequence = check_bool("return_sequence", return_sequence)
        self.return_state = check_bool("return_state", return_state)
        self.augru_form = check_one_of("augru_form", augru_form, AUGRU_FORMS)
        self.reset_after = check_bool("reset_after", reset_after)
        self.set_kernel_options(seed, kernel_initializer, kernel_regularizer)
        has_scores = self.gru_type in ("AGRU", "AUGRU")
        self.deepctr_inputs = ("x", "lengths", "scores")[: 2 + has_scores]

    def build(self, x_shape: Shape) -> None:
        dim = check_known_dim("x", x_shape, -1)
        units = self.num_units or dim
        uniform = keras.initializers.GlorotUniform
        self.gates_kernel = self.add_kernel(
            "gates_kernel", (dim + units, 2 * units), uniform
        )
        self.gates_bias = self.add_weight(
            shape=(2 * units,), initializer="ones", name="gates_bias"
        )
        self.candidate_kernel = self.add_kernel(
            "candidate_kernel", (dim + units, units), uniform, 1
        )
        self.candidate_bias = self.add_weight(
            shape=(units,), initializer="zeros", name="candidate_bias"
        )
        self.candidate_state_bias = None
        if self.reset_after:
            self.candidate_state_bias = self.add_weight(
                shape=(units,), initializer="zeros", name="candidate_state_bias"
            )

    def call(
        self,
        x: Tensor,
        scores: Tensor | None = None,
        lengths: Tensor | None = None,
        initial_state: Tensor | None = None,
        mask: Tensor | None = None,
        x_mask: Tensor | None = None,
    ) -> Any:
        if scores is not None and (
            self.gru_type == "GRU" or dtype_of(scores) == "bool"
        ):
            expected = "None for GRU" if self.gru_type == "GRU" else "floats"
            raise_invalid(
                "scores",
                f"{expected} (lengths and masks are passed by name)",
                describe_inputs(scores),
            )
        valid = self.valid_steps(x, lengths, mask, x_mask)
        x = ops.cast(x, self.compute_dtype)
        if scores is not None:
            scores = ops.cast(_by_step(scores, x), self.compute_dtype)
        if initial_state is not None:
            initial_state = ops.cast(initial_state, self.compute_dtype)
        outputs, state = gru(
            x,
            valid,
            self.gates_kernel,
            self.gates_bias,
            self.candidate_kernel,
            self.candidate_bias,
            scores,
            gru_type=self.gru_type,
            augru_form=self.augru_form,
            initial_state=initial_state,
            candidate_state_bias=self.candidate_state_bias,
        )
        if not self.return_sequence:
            has_candidates = len(state.shape) == 3
            outputs = state if has_candidates else ops.expand_dims(state, 1)
        return (outputs, state) if self.return_state else outputs

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Any:
        mask = first_mask(mask) if self.return_sequence else None
        return (mask, None) if self.return_state else mask

    def compute_output_shape(
        self, x_shape: Shape, scores_shape: Shape | None = None
    ) -> Any:
        batch, steps, dim = x_shape
        units = self.num_units or dim
        candidates: Shape = ()
        if scores_shape and _axis_of_one(scores_shape, steps) is None:
            candidates = (scores_shape[1],)
        state = (batch, *candidates, units)
        outputs = (batch, *(candidates or (1,)), units)
        if self.return_sequence:
            outputs = (batch, steps, *candidates, units)
        return (outputs, state) if self.return_state else outputs


def _by_step(scores: Tensor, x: Tensor) -> Tensor:
    """Scores as `kseq.ops.gru` takes them."""
    axis = _axis_of_one(scores.shape, x.shape[1])
    if axis is None:
        return ops.transpose(scores, (0, 2, 1))
    return ops.squeeze(scores, axis) if axis else scores


def _axis_of_one(shape: Shape, steps: int | None) -> int | None:
    """The axis of scores to drop, 0 for none; None if it has candidates."""
    if len(shape) != 3:
        return 0
    if shape[2] == 1 and known(steps) != 1:
        return 2
    return 1 if known(shape[1]) == 1 else None
