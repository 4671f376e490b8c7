"""Base classes of the layers."""

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from kseq.checks import (
    Unquoted,
    check_bool,
    check_int_below,
    describe_inputs,
    is_shape,
    raise_invalid,
)
from kseq.ops.masks import resolve_mask
from kseq.ops.validation import parse, to_tensor
from kseq.types import Tensor

# PyTorch's seeds have 31 bits, the other backends' 32; none is negative.
SEEDS = 2**31


class Layer(keras.layers.Layer):
    """A Keras layer whose config is the arguments of its constructor.

    The arguments are attributes of the same names. Where a functional model is
    made, Keras traces `call`, so that inputs that do not fit raise there.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # Keras would trust compute_output_shape, and validate nothing.
        try:
            # The NumPy backend traces with arbitrary numbers.
            with np.errstate(all="ignore"):
                return keras.Operation.compute_output_spec(
                    self, *args, **kwargs
                )
        except ValueError as error:
            # Keras prepends advice to authors of layers.
            message = str(error).rpartition("Error encountered:\n\n")[2]
            raise ValueError(message) from error.__cause__
        except RuntimeError:
            # OpenVINO cannot trace a loop over an unknown number of steps.
            if keras.backend.backend() != "openvino":
                raise
            return super().compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for cls in type(self).__mro__:
            if cls.__module__ == __name__:
                break
            for name in inspect.signature(cls.__init__).parameters:
                if name not in ("self", "kwargs") and hasattr(self, name):
                    config[name] = serialize(getattr(self, name))
        return config

    def add_kernel(
        self,
        name: str,
        shape: tuple[int, ...],
        default: Any,
        index: int = 0,
        **options: Any,
    ) -> Any:
        """Add a weight by `kernel_initializer` and `kernel_regularizer`.

        Args:
            name: the weight's name.
            shape: the weight's shape.
            default: the initializer's class where the layer was given none.
            index: which of the layer's kernels it is, so that kernels of one
                shape start differently.
            options: further arguments of `add_weight`.
        """
        initializer = default(seed=nth_seed(self.seed, index))
        if self.kernel_initializer is not None:
            # A copy, since an initializer draws the same numbers each time.
            initializer = keras.initializers.get(
                serialize(keras.initializers.get(self.kernel_initializer))
            )
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            regularizer=keras.regularizers.get(self.kernel_regularizer),
            **options,
        )


class SequenceLayer(Layer):
    """A layer over padded sequences.

    It is called with named tensors, such as `layer(query, keys, lengths=n)`,
    where steps are valid that lengths and masks both declare valid; or with
    DeepCTR's list, `layer([query, keys, n])`, which is unpacked here.

    A subclass declares `call(self, x, lengths=None, mask=None, x_mask=None)`.
    Keras fills in the mask that belongs to a tensor: as `mask` for the only
    tensor of a call, as `<name>_mask` where there are several.

    Args:
        supports_masking: for a list with lengths only: False: masks are
            ignored, as in DeepCTR; True: lengths and masks are combined.
        kwargs: arguments of `keras.layers.Layer`.
    """

    # The names of DeepCTR's list; its lengths may be left out.
    deepctr_inputs: tuple[str, ...] = ("x", "lengths")
    # The input that a single mask belongs to.
    masked_input: ClassVar[str] = "x"
    # Whether a call needs lengths or a mask.
    requires_mask: ClassVar[bool] = True
    # Whether the output has the steps of the first input, and so its mask.
    keeps_steps: bool = False

    def __init__(self, supports_masking: bool = True, **kwargs: Any) -> None:
        # No autocast, which would round lengths given as floats.
        super().__init__(autocast=False, **kwargs)
        self.combines_masks = check_bool("supports_masking", supports_masking)
        # Looked up here, since torch.compile cannot trace inspect.
        self._call_parameters = tuple(inspect.signature(self.call).parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        positional, named = self._bind(*args, **kwargs)
        return super().__call__(*positional, **named)

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        # Keras's calls `call` and not the layer.
        positional, named = self._bind(*args, **kwargs)
        return super().stateless_call(
            trainable_variables,
            non_trainable_variables,
            *positional,
            return_losses=return_losses,
            **named,
        )

    def _bind(
        self, *args: Any, **kwargs: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        """The first input and the named arguments of `call`."""
        is_list = len(args) > 0 and isinstance(args[0], (list, tuple))
        if is_list:
            given = self._unpack(args[0]) | kwargs
            given |= dict(zip(("mask",), args[1:], strict=False))
        else:
            given = (
                dict(zip(self._call_parameters, args, strict=False)) | kwargs
            )
        given |= self._named_masks(given, given.pop("mask", None))
        first = self._call_parameters[0]
        lengths = [given[n] for n in given if n.endswith("lengths")]
        if any(n is not None for n in lengths):
            # Keras propagates masks and knows no lengths, so none is propagated.
            # False, since Keras fills in a mask that is None.
            if "mask" in self._call_parameters:
                given[f"{first}_mask"] = given.get(
                    f"{first}_mask", given.get("mask")
                )
                given["mask"] = False
            if is_list and not self.combines_masks:
                given |= {
                    n: False for n in self._call_parameters if "mask" in n
                }
        return [given.pop(first)] if first in given else [], given

    def _unpack(self, inputs: Any) -> dict[str, Any]:
        """DeepCTR's list of inputs, by name."""
        names = self.deepctr_inputs
        features = [n for n in names if not n.endswith("lengths")]
        for expected in (names, features):
            if len(inputs) == len(expected):
                return dict(zip(expected, inputs, strict=True))
        raise_invalid(
            "inputs",
            f"[{', '.join(names)}], or [{', '.join(features)}] with a mask",
            describe_inputs(inputs),
        )

    def _named_masks(self, given: dict[str, Any], mask: Any) -> dict[str, Any]:
        """The argument `mask`, of one input or of a list of them, by name."""
        if mask is None or mask is False:
            return {} if mask is None else {"mask": False}
        names = [n for n in self.deepctr_inputs if given.get(n) is not None]
        features = [n for n in names if not n.endswith("lengths")]
        if not isinstance(mask, (list, tuple)):
            names, mask = [self.masked_input], [mask]
        elif len(mask) == len(features):
            names = features
        elif len(mask) != len(names):
            expected = f"a mask or None for each of {', '.join(features)}"
            raise_invalid("mask", expected, describe_inputs(mask))
        named = {}
        for name, m in zip(names, mask, strict=True):
            is_first = name == self._call_parameters[0]
            parameter = f"{name}_mask"
            if is_first and "mask" in self._call_parameters:
                parameter = "mask"
            if m is not None and parameter in self._call_parameters:
                named[parameter] = m
        return named

    def valid_steps(self, x: Tensor, lengths: Any, *masks: Any) -> Tensor:
        """The valid steps of x: bool `(batch, steps)`.

        Args:
            x: `(batch, steps, ...)`.
            lengths: `(batch,)` or `(batch, 1)`, or None.
            masks: bool `(batch, steps)`, None, or False (ignored); of several
                the first is used.
        """
        mask = first_mask(*masks)
        if self.requires_mask and mask is None and lengths is None:
            raise_invalid(
                self.name,
                "`lengths`, or a mask (mask=..., or from "
                "Embedding(mask_zero=True) or Masking; operations such as "
                "x + 1 lose it)",
                Unquoted("neither"),
            )
        return resolve_mask(x, mask, lengths)

    def check_axes(self, **tensors: tuple[Any, str]) -> None:
        """Validate tensors against declarations as those of `takes`."""
        sizes: dict[str, int] = {}
        for name, (x, axes) in tensors.items():
            to_tensor(name, x, parse(axes), sizes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask if self.keeps_steps and mask is not False else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        shapes = config.get("input_shape")
        if not shapes or is_shape(shapes):
            super().build_from_config(config)
        else:  # of DeepCTR's list
            parameters = inspect.signature(type(self).build).parameters
            self.build(*shapes[: len(parameters) - 1])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if "supports_masking" in config:
            config["supports_masking"] = self.combines_masks
        return config


def first_mask(*masks: Any) -> Tensor | None:
    """The first mask that is given, where False means one to be ignored."""
    return next((m for m in masks if m is not None and m is not False), None)


@dataclass(frozen=True)
class LayerTemplate:
    """A layer of which every place gets a new copy.

    Not the layer itself, which Keras would track as a sublayer.
    """

    cls: Any
    config: dict[str, Any]

    def create(self, **options: Any) -> keras.layers.Layer:
        return self.cls.from_config({**self.config, **options})


def serialize(value: Any) -> Any:
    """A constructor's argument as a config stores it."""
    if isinstance(value, LayerTemplate):
        value = value.create()
    if value is None or isinstance(value, (str, bool, int, float, list, tuple)):
        return value
    return keras.saving.serialize_keras_object(value)


def check_seed(seed: Any) -> int | None:
    """An integer, or None for different numbers each time."""
    return None if seed is None else check_int_below("seed", seed, SEEDS)


def nth_seed(seed: int | None, n: int) -> int | None:
    """The seed of a layer's n-th draw, so that equal shapes differ."""
    return None if seed is None else (seed + n) % SEEDS
