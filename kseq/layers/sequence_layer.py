from typing import Any, ClassVar

from keras import ops

from kseq.checks import (
    Unquoted,
    check_bool,
    describe_inputs,
    is_shape,
    raise_invalid,
)
from kseq.layers.checked_layer import (
    CheckedLayer,
    check_fits,
    check_lengths,
)
from kseq.ops.masks import resolve_mask
from kseq.types import Shape, Tensor


class MaskedLayer(CheckedLayer):
    """A layer that has to be told which steps count, by lengths or masks.

    Where lengths are given, DeepCTR's `supports_masking` says whether a mask
    counts too (True) or is passed over (False).
    """

    def __init__(self, supports_masking: bool = False, **kwargs: Any) -> None:
        check_bool("supports_masking", supports_masking)
        # No autocast: it would round lengths given as floats to half precision.
        super().__init__(autocast=False, **kwargs)
        # Keras's attribute of the argument's name means that the layer knows
        # what to do with a mask, and always holds: Keras would warn otherwise.
        self.supports_masking = True
        self.prefers_mask = supports_masking

    def check_steps_told(self, inputs: Any, mask: Any) -> None:
        """Refuse a call with neither lengths nor mask."""

    def compute_output_spec(
        self, inputs: Any, mask: Any = None, **kwargs: Any
    ) -> Any:
        # A functional model is refused when it is made, not at its first batch.
        self.check_steps_told(inputs, mask)
        return super().compute_output_spec(inputs, mask=mask, **kwargs)

    def mask_to_pass(
        self, sequence: Tensor, mask: Any, lengths: Any
    ) -> Tensor | None:
        """The mask that goes on with a sequence.

        None without a mask, or where lengths have taken its place.
        """
        if mask is None or lengths is None:
            return mask
        return (
            resolve_mask(sequence, mask, lengths) if self.prefers_mask else None
        )


class SequenceLayer(MaskedLayer):
    """What the layers over padded sequences share: which steps count.

    A layer takes its features alone or with the sequences' lengths among them,
    in DeepCTR's places: `[keys, lengths]`, `[query, keys, lengths]`. Without
    lengths it needs a mask, explicit (`mask=`) or from an `Embedding` or
    `Masking`.
    """

    features: ClassVar[tuple[str, ...]]
    lengths_at: ClassVar[int]  # the lengths' place among the inputs
    sequence_at: ClassVar[int]  # the masked sequence's place, before them

    def named(self, inputs: Any) -> dict[str, Any]:
        alone = not isinstance(inputs, (list, tuple)) or is_shape(inputs)
        items = [inputs] if alone else list(inputs)
        names = list(self.features)
        names.insert(self.lengths_at, "lengths")
        if inputs is None or len(items) not in (len(names) - 1, len(names)):
            raise_invalid(
                "inputs",
                f"[{', '.join(names)}], or [{', '.join(self.features)}] with a "
                "mask",
                describe_inputs(inputs),
            )
        if len(items) < len(names):
            names.remove("lengths")
        return dict(zip(names, items, strict=True))

    def split(self, inputs: Any) -> tuple[list[Any], Any]:
        """The features, and the lengths or None; of tensors or of shapes."""
        found = self.named(inputs)
        return [found[name] for name in self.features], found.get("lengths")

    def unpack(self, inputs: Any) -> tuple[list[Tensor], Tensor | None]:
        """The features in the compute dtype, and the lengths or None."""
        features, lengths = self.split(inputs)
        return [ops.cast(x, self.compute_dtype) for x in features], lengths

    def valid_steps(self, inputs: Any, mask: Any) -> Tensor:
        """The steps of the sequence that count: bool `(batch, steps)`."""
        self.check_steps_told(inputs, mask)
        features, lengths = self.split(inputs)
        mask = self.mask_of_sequence(mask)
        if lengths is not None and not self.prefers_mask:
            mask = None
        return resolve_mask(features[self.sequence_at], mask, lengths)

    def check_steps_told(self, inputs: Any, mask: Any) -> None:
        """Refuse a call with neither lengths nor mask."""
        _, lengths = self.split(inputs)
        if lengths is None and self.mask_of_sequence(mask) is None:
            sequence = self.features[self.sequence_at]
            raise_invalid(
                self.name,
                f"lengths among the inputs, or a mask of {sequence} (mask=..., "
                "or from Embedding(mask_zero=True) or Masking; operations such "
                "as x + 1 lose it)",
                Unquoted("neither"),
            )

    def passed_mask(self, inputs: Any, mask: Any) -> Tensor | None:
        """For a layer that keeps the steps: the mask that it hands on."""
        features, lengths = self.split(inputs)
        sequence = features[self.sequence_at]
        return self.mask_to_pass(sequence, self.mask_of_sequence(mask), lengths)

    def mask_of_sequence(self, mask: Any) -> Tensor | None:
        """The sequence's mask, of a list of masks or a single one."""
        if not isinstance(mask, (list, tuple)):
            return mask
        if len(mask) <= self.sequence_at:
            raise_invalid(
                "mask",
                f"one for each input of {self.features}",
                describe_inputs(mask),
            )
        return mask[self.sequence_at]

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        self.check_features([shapes[name] for name in self.features])
        if "lengths" in shapes:
            name = self.features[self.sequence_at]
            check_lengths("lengths", shapes["lengths"], **{name: shapes[name]})

    def check_mask(self, mask: Any, tensors: dict[str, Any]) -> None:
        name = self.features[self.sequence_at]
        mask = self.mask_of_sequence(mask)
        check_fits(mask, rank=2, **{name: tensors[name]})

    def check_features(self, shapes: list[Shape]) -> None:
        """Refuse features whose shapes do not fit."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None
