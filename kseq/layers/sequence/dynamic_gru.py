from typing import Any

import keras
from keras import ops

from kseq.checks import (
    Unquoted,
    check_bool,
    check_known_dim,
    check_one_of,
    check_positive_int,
    check_rank,
    check_same_dim,
    raise_invalid,
)
from kseq.layers.checked_layer import check_numbers
from kseq.layers.sequence_layer import SequenceLayer
from kseq.ops.recurrence import AUGRU_FORMS, GRU_TYPES, gru
from kseq.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseq")
class DynamicGRU(SequenceLayer):
    r"""DIEN's recurrent layer: a GRU in which attention may decide what stays.

    $$h_t = h_{t-1} + w_t \odot (c_t - h_{t-1})$$

    with the gates and $w_t$ of `kseq.ops.gru`: $1 - u_t$ for GRU and AIGRU, the
    score $a_t$ for AGRU, $1 - (1 - a_t) u_t$ for AUGRU. Past the end of a
    history the state is carried and the output is 0. An empty history gives 0,
    or the initial state. What stands in padding changes nothing.

    Args:
        num_units: the width of the state; None: the width of the input.
        gru_type: 'GRU', 'AIGRU' (the same layer; its input was multiplied by
            the scores before), 'AGRU' or 'AUGRU'.
        return_sequence: True: the state after each step is the output; False:
            the state after the last, with a time axis of 1.
        return_state: True: the last state, `(batch, units)`, is a second
            output, from which a later call can go on.
        augru_form: AUGRU as 'deepctr' has it, or as in the 'paper':
            $w_t = a_t u_t$.

    Call arguments:
        inputs: `[x, lengths]`, for AGRU and AUGRU `[x, lengths, scores]`; with
            a mask `lengths` may be left out. `x`: `(batch, steps, dim)`,
            `steps` may be unknown; `lengths`: `(batch,)` or `(batch, 1)`,
            integers or whole floats, clipped to [0, steps]; `scores`:
            `(batch, steps, 1)`, `(batch, 1, steps)` or `(batch, steps)`.
        mask: bool `(batch, steps)` of `x`, or a list that begins with it.
            Together with lengths, a step counts where both say so.
        initial_state: `(batch, units)`, the state before the first step; None:
            0.

    Returns:
        `(batch, steps, units)`, or `(batch, 1, units)` without
        `return_sequence`; with `return_state` a tuple of this and the state. In
        the compute dtype. A sequence passes its mask on.

    Raises:
        ValueError: an argument is out of range, `x` is no tensor of numbers of
            rank 3, its `dim` is another than the layer was built for, lengths,
            scores, mask or state do not fit it, or there is neither lengths
            nor mask.

    Differences from DeepCTR:
        AGRU's and AUGRU's weights are trained and saved; in DeepCTR 0.9.4 they
        are neither. Two layers of one name share nothing. Batches of one
        history work. The reported shape follows `num_units`. Masks,
        `initial_state`, `return_state` and the paper's AUGRU.

    Reference:
        Zhou et al., Deep Interest Evolution Network, 2019, section 4.3.

    Example:

    >>> import numpy as np
    >>> from kseq.layers.sequence import DynamicGRU
    >>> layer = DynamicGRU(4, "AUGRU")
    >>> x = np.ones((2, 5, 3), "float32")
    >>> scores = np.ones((2, 5, 1), "float32")
    >>> tuple(layer([x, np.array([5, 2]), scores]).shape)
    (2, 5, 4)
    """

    lengths_at = 1
    sequence_at = 0

    def __init__(
        self,
        num_units: int | None = None,
        gru_type: str = "GRU",
        return_sequence: bool = True,
        return_state: bool = False,
        augru_form: str = "deepctr",
        **kwargs: Any,
    ) -> None:
        if num_units is not None:
            num_units = check_positive_int("num_units", num_units)
        gru_type = check_one_of("gru_type", gru_type, GRU_TYPES)
        return_sequence = check_bool("return_sequence", return_sequence)
        return_state = check_bool("return_state", return_state)
        augru_form = check_one_of("augru_form", augru_form, AUGRU_FORMS)
        super().__init__(supports_masking=True, **kwargs)
        self.num_units = num_units
        self.gru_type = gru_type
        self.return_sequence = return_sequence
        self.return_state = return_state
        self.augru_form = augru_form

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]
        attended = self.gru_type in ("AGRU", "AUGRU")
        return ("x", "scores") if attended else ("x",)

    def check_features(self, shapes: list[Shape]) -> None:
        x, *scores = shapes
        check_rank("x", x, (3,))
        check_known_dim("x", x, -1)
        self.check_width("x", x)
        for shape in scores:
            if len(shape) not in (2, 3):  # perhaps the lengths
                raise_invalid(
                    "scores",
                    "a tensor of rank 2 or 3, the last of [x, lengths, scores]",
                    Unquoted(f"shape {tuple(shape)}"),
                )
            check_same_dim(0, x=x, scores=shape)
            # The axis of steps is what is left without that of 1.
            axes = [n for n in shape[1:] if n != 1] or [1]
            known = None not in (*axes, x[1])
            if len(axes) > 1 or (known and axes != [x[1]]):
                raise_invalid(
                    "scores",
                    "shape (batch, steps, 1), (batch, 1, steps) or "
                    f"(batch, steps) for x of shape {tuple(x)}",
                    tuple(shape),
                )

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        (x, *_), _ = self.split(input_shape)
        dim, units = x[-1], self._units(x)
        self.gates_kernel = self.add_weight(
            shape=(dim + units, 2 * units), name="gates_kernel"
        )
        self.gates_bias = self.add_weight(
            shape=(2 * units,), initializer="ones", name="gates_bias"
        )
        self.candidate_kernel = self.add_weight(
            shape=(dim + units, units), name="candidate_kernel"
        )
        self.candidate_bias = self.add_weight(
            shape=(units,), initializer="zeros", name="candidate_bias"
        )

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        initial_state: Tensor | None = None,
        inputs_mask: Any = None,
    ) -> Any:
        # Beside a second tensor Keras hands the mask on under this name.
        valid = self.valid_steps(inputs, inputs_mask if mask is None else mask)
        (x, *scores), _ = self.unpack(inputs)
        attention = None
        if scores:
            attention = ops.reshape(scores[0], ops.shape(x)[:2])
        if initial_state is not None:
            initial_state = ops.cast(initial_state, self.compute_dtype)
        outputs, state = gru(
            x,
            valid,
            (self.gates_kernel, self.gates_bias),
            (self.candidate_kernel, self.candidate_bias),
            attention,
            gru_type=self.gru_type,
            augru_form=self.augru_form,
            initial_state=initial_state,
        )
        if not self.return_sequence:
            outputs = ops.expand_dims(state, 1)
        return (outputs, state) if self.return_state else outputs

    def check_options(
        self, tensors: dict[str, Any], options: dict[str, Any]
    ) -> None:
        super().check_options(tensors, options)
        initial_state = options.get("initial_state")
        if initial_state is None:
            return
        check_numbers("initial_state", initial_state)
        x, state = tensors["x"].shape, initial_state.shape
        check_rank("initial_state", state, (2,))
        check_same_dim(0, x=x, initial_state=state)
        check_same_dim(-1, units=(self._units(x),), initial_state=state)

    def _units(self, x: Shape) -> int:
        return self.num_units or check_known_dim("x", x, -1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = self.passed_mask(inputs, mask) if self.return_sequence else None
        return (mask, None) if self.return_state else mask

    def compute_output_spec(
        self,
        inputs: Any,
        mask: Any = None,
        initial_state: Any = None,
        inputs_mask: Any = None,
        **kwargs: Any,
    ) -> Any:
        return super().compute_output_spec(
            inputs, mask=inputs_mask if mask is None else mask
        )

    def shape_of_output(self, input_shape: Any) -> Any:
        (x, *_), _ = self.split(input_shape)
        units = self._units(x)
        outputs = (x[0], x[1] if self.return_sequence else 1, units)
        return (outputs, (x[0], units)) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_units": self.num_units,
            "gru_type": self.gru_type,
            "return_sequence": self.return_sequence,
            "return_state": self.return_state,
            "augru_form": self.augru_form,
        }
