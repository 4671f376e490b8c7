"""Layers that connect the user's part of a model with the candidates' part."""

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kseq.layers.base import Layer
from kseq.ops.validation import known
from kseq.types import Shape, Tensor


class History(NamedTuple):
    """A history in the user's state: names of tensors and inputs."""

    steps: str
    valid: str  # a mask or lengths
    inputs: list[str]  # of the steps
    lengths: str | None = None  # an input
    gru: str | None = None  # the layer that computes the steps


@keras.saving.register_keras_serializable(package="kseq")
class UserState(keras.layers.Layer):
    """Marks where the candidates' part of a model starts; returns its input.

    `kseq.models.split_model` divides a model here.

    Args:
        vocabulary_sizes: the number of rows of the table that each input of
            ids is looked up in, by the input's name.
        histories: the arguments of each `History` that events can be appended
            to.

    Call arguments:
        state: tensors by name, all that the candidates' part reads of the user.
        unused: inputs that no layer reads. They only become inputs of the
            model: Keras before 3.14 rejects a model with inputs that are not
            connected.
    """

    def __init__(
        self,
        vocabulary_sizes: Mapping[str, int] | None = None,
        histories: Iterable[Mapping[str, Any]] = (),
        **kwargs: Any,
    ) -> None:
        # Embeddings are in the compute dtype already, lengths stay integers.
        super().__init__(autocast=False, **kwargs)
        self.vocabulary_sizes = dict(vocabulary_sizes or {})
        self.histories = [History(**history) for history in histories]

    def call(
        self, state: dict[str, Tensor], unused: Sequence[Tensor] = ()
    ) -> dict[str, Tensor]:
        return dict(state)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_sizes": self.vocabulary_sizes,
            "histories": [history._asdict() for history in self.histories],
        }


def valid_ids(ids: Iterable[Tensor], rank: int = 2) -> Tensor:
    """A mask of a rank: True where no feature's id is 0.

    A feature with more axes has sets of ids, which must not all be 0.
    """
    masks = []
    for x in ids:
        mask = ops.not_equal(x, 0)
        if axes := tuple(range(rank, len(x.shape))):
            mask = ops.any(mask, axis=axes)
        masks.append(mask)
    return functools.reduce(ops.logical_and, masks)


@keras.saving.register_keras_serializable(package="kseq")
class JoinFeatures(keras.layers.Layer):
    """Concatenates features of the user and of the candidates.

    Args:
        of_candidates: for each input, whether it is of the candidates. Not
            decided by shapes, since PyTorch's tracers may trace one candidate.

    Call arguments:
        inputs: tensors `(batch, candidates, dim)`, of the user `(batch, 1,
            dim)`.

    Returns:
        `(batch, candidates, sum of dim)`.
    """

    def __init__(self, of_candidates: Sequence[bool], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of_candidates = list(of_candidates)

    def call(self, inputs: list[Tensor]) -> Tensor:
        pairs = [*zip(inputs, self.of_candidates, strict=True)]
        (batch, candidates), *_ = (ops.shape(x)[:2] for x, of in pairs if of)
        if known(candidates) != 1:
            inputs = [
                x
                if of
                else ops.broadcast_to(x, (batch, candidates, x.shape[2]))
                for x, of in pairs
            ]
        return ops.concatenate(inputs, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "of_candidates": self.of_candidates}


@keras.saving.register_keras_serializable(package="kseq")
class CandidateScores(keras.layers.Layer):
    """Drops the last axis of scores `(batch, candidates, 1)`.

    Args:
        candidate_inputs: the names of the candidate's inputs, which
            `kseq.export` reads too.
        candidate_ids: the names of those whose id is 0 in candidates that are
            padding.
    """

    def __init__(
        self,
        candidate_inputs: Sequence[str],
        candidate_ids: Sequence[str],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True  # None follows
        self.candidate_inputs = list(candidate_inputs)
        self.candidate_ids = list(candidate_ids)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.squeeze(inputs, -1)

    def compute_mask(self, inputs: Tensor, previous_mask: Any = None) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "candidate_inputs": self.candidate_inputs,
            "candidate_ids": self.candidate_ids,
        }


@keras.saving.register_keras_serializable(package="kseq")
class EachSequence(Layer):
    """Applies a layer to each of several sequences of an example.

    For the sequences of each candidate, and for the sets of ids of each step.

    Args:
        layer: a layer that takes sequences `(batch, steps, dim)` and returns
            `(batch, steps or 1, dim)`.

    Call arguments:
        x: `(batch, ..., steps, dim)`.
        others: further tensors `(batch, ..., steps, dim)`.
        mask: bool `(batch, ..., steps)`.
        lengths: `(batch, ...)`.

    Returns:
        `(batch, ..., steps, dim)`, or `(batch, ..., dim)` if the layer returns
        one step.
    """

    def __init__(self, layer: keras.Layer, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.layer = layer

    def build(self, x_shape: Shape, *others: Shape) -> None:
        merged = [(None, *shape[-2:]) for shape in (x_shape, *others)]
        self.layer.build(*merged)

    def call(
        self,
        x: Tensor,
        *others: Tensor,
        mask: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor:
        sizes = ops.shape(x)[:-2]
        rows = functools.reduce(operator.mul, sizes)

        def merge(x: Tensor) -> Tensor:
            return ops.reshape(x, (rows, *ops.shape(x)[len(sizes) :]))

        named = {"mask": mask, "lengths": lengths}
        named = {n: merge(t) for n, t in named.items() if t is not None}
        y = self.layer(merge(x), *map(merge, others), **named)
        steps = ops.shape(y)[1:]
        if self.layer.keeps_steps:
            return ops.reshape(y, (*sizes, *steps))
        return ops.reshape(y, (*sizes, steps[-1]))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # the next layer gets the mask as an argument

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**config, "layer": layer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EachSequence":
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})
