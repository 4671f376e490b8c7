"""A model that appends new events to a user's state."""

from typing import Any

import keras
from keras import ops

from kseq.checks import raise_invalid
from kseq.models.parts import UserState
from kseq.models.split import copy_model, find_layer, share
from kseq.types import Tensor


def update_model(model: keras.Model) -> keras.Model:
    """Return a model that appends new events to a user's state.

    The state is that of the user's model of `split_model`. What was computed
    for earlier events is kept: `DIEN`'s first GRU continues from its last
    state.

    Args:
        model: a `DIN`, or a `DIEN` with another `gru_type` than 'GRU'.

    Returns:
        A `keras.Model` that shares the layers of `model`. It takes a dict of
        the state and of the new events, which are inputs of the histories with
        any number of steps, and returns the histories' part of the new state.
        If `maxlen` of a history is None, the state grows by the events' number
        of steps; otherwise the oldest steps are dropped where it would be
        longer than `maxlen`. `DIEN`'s states still depend on dropped steps.

    Raises:
        ValueError: `model` is another model. In other models, new events change
            what was computed for earlier ones.

    Example:

    >>> import numpy as np
    >>> from kseq.feature_column import SparseFeat, VarLenSparseFeat
    >>> from kseq.models import DIN, split_model, update_model
    >>> item = SparseFeat("item", 100, embedding_dim=8)
    >>> clicks = SparseFeat("hist_item", 100, 8, embedding_name="item")
    >>> model = DIN([item, VarLenSparseFeat(clicks, maxlen=4)], ["item"])
    >>> user_model, candidate_model = split_model(model)
    >>> history = {"hist_item": np.array([[7, 9, 0, 0]])}
    >>> state = user_model.predict(history, verbose=0)
    >>> event = {"hist_item": np.array([[5]])}
    >>> updates = update_model(model)
    >>> state |= updates.predict({**state, **event}, verbose=0)
    >>> state["valid"].tolist()
    [[True, True, True, False]]
    """
    expected = (
        "a DIN, or a DIEN with a gru_type other than 'GRU', built by this "
        "version of kseq"
    )
    layer = find_layer(model, UserState)
    if layer is None or not layer.histories:
        raise_invalid("model", expected, model)
    histories = layer.histories
    copied = copy_model(model)
    old, read = {}, {}
    for h in histories:
        for name in (h.steps, h.valid):
            x = copied.state[name]
            old[name] = keras.Input(x.shape[1:], name=name, dtype=x.dtype)
            read[name] = copied.read[layer.name][name]
        if h.gru is not None:
            read[h.steps] = copied.read[h.gru]
    # What is computed for the events alone, for any number of steps.
    steps_inputs = {name for h in histories for name in h.inputs}
    names = steps_inputs | {h.lengths for h in histories}
    inputs = [x for x in copied.model.inputs if x.name in names]
    if common := sorted(names & old.keys()):
        raise_invalid(
            "model", f"inputs not named as the state {[*old]}", common
        )
    shapes = {
        x.name: keras.KerasTensor(
            (None, None, *x.shape[2:]) if x.name in steps_inputs else x.shape,
            dtype=x.dtype,
        )
        for x in inputs
    }
    events = share(keras.Model(inputs, read), shapes)
    new = events.output
    state = {}
    for h in histories:
        steps, valid = old[h.steps], old[h.valid]
        new_steps, new_valid = new[h.steps], new[h.valid]
        if h.gru is not None:
            new_steps = model.get_layer(h.gru)(
                new_steps,
                lengths=new_valid,
                initial_state=LastStep()(steps, valid),
            )
        append = AppendSteps(steps.shape[1])
        state[h.steps], state[h.valid] = append(
            steps, valid, new_steps, new_valid
        )
    return keras.Model(
        [*old.values(), *events.inputs], state, name=f"{model.name}_update"
    )


def _is_mask(valid: Tensor) -> bool:
    return keras.backend.standardize_dtype(valid.dtype) == "bool"


def _end(valid: Tensor, steps: Tensor) -> Tensor:
    """The number of steps up to the last valid one, `(batch, 1)`.

    `valid` is a mask `(batch, steps)`, or lengths `(batch, 1)`.
    """
    size = ops.shape(steps)[1]
    if not _is_mask(valid):
        return ops.clip(valid, 0, size)
    ends = ops.where(valid, ops.arange(1, size + 1, dtype="int32"), 0)
    # There may be no step.
    return ops.max(ops.pad(ends, ((0, 0), (1, 0))), axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="kseq")
class LastStep(keras.layers.Layer):
    """Returns the last valid step, or zeros where there is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def call(self, steps: Tensor, valid: Tensor) -> Tensor:
        """`(batch, dim)` from `(batch, steps, dim)`."""
        zeros_first = ops.pad(steps, ((0, 0), (1, 0), (0, 0)))
        end = _end(valid, steps)[:, :, None]
        return ops.take_along_axis(zeros_first, end, axis=1)[:, 0]


@keras.saving.register_keras_serializable(package="kseq")
class AppendSteps(keras.layers.Layer):
    """Appends the steps of new events to those of a history.

    Args:
        maxlen: the number of steps to keep, the newest ones; None: all.

    Call arguments:
        steps, new_steps: `(batch, steps, dim)`, of other numbers of steps.
        valid, new_valid: a mask `(batch, steps)`, or lengths `(batch, 1)`.

    Returns:
        Steps and mask or lengths, where the new steps follow the last valid
        one.
    """

    def __init__(self, maxlen: int | None = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.maxlen = maxlen

    def call(
        self, steps: Tensor, valid: Tensor, new_steps: Tensor, new_valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        old, new = ops.shape(steps)[1], ops.shape(new_steps)[1]
        size = old + new if self.maxlen is None else self.maxlen
        end, added = _end(valid, steps), _end(new_valid, new_steps)
        # The places of the kept steps in the concatenated ones.
        place = ops.arange(size, dtype="int32")[None]
        place = place + ops.maximum(end + added - size, 0)
        kept = place < end + added
        place = ops.where(place < end, place, old + place - end)
        place = ops.where(kept, place, 0)
        joined = ops.concatenate([steps, new_steps], axis=1)
        joined = ops.take_along_axis(joined, place[:, :, None], axis=1)
        if not _is_mask(valid):
            return joined, ops.minimum(end + added, size)
        masks = ops.concatenate([valid, new_valid], axis=1)
        return joined, kept & ops.take_along_axis(masks, place, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "maxlen": self.maxlen}
