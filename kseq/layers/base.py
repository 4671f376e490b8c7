"""Base classes of the layers."""

import inspect
from collections.abc import Mapping
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
from kseq.types import InitializerLike, RegularizerLike, Shape, Tensor

# PyTorch's seeds have 31 bits, the other backends' 32; none is negative.
SEEDS = 2**31
# What the names of masks and lengths end with.
ENDINGS = ("mask", "lengths")


class Layer(keras.layers.Layer):
    """A Keras layer whose config is the arguments of its constructor.

    Each argument is stored as an attribute of the same name. Keras traces
    `call` when a functional model is built, so incompatible inputs raise then.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # Keras would call compute_output_shape, which validates nothing.
        try:
            # The NumPy backend traces with arbitrary numbers.
            with np.errstate(all="ignore"):
                outputs = keras.Operation.compute_output_spec(
                    self, *args, **kwargs
                )
        except ValueError as error:
            # Keras prepends advice to authors of layers.
            message = str(error).rpartition("Error encountered:\n\n")[2]
            cleaned = ValueError(message).with_traceback(error.__traceback__)
            raise cleaned from None
        except RuntimeError:
            # OpenVINO cannot trace a loop over an unknown number of steps.
            if keras.backend.backend() != "openvino":
                raise
            return super().compute_output_spec(*args, **kwargs)
        # Not the traced dtype: some backends trace 64 bits as 32.
        return keras.tree.map_structure(
            lambda x: keras.KerasTensor(x.shape, self.compute_dtype), outputs
        )

    def rematerialized_call(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Recompute `call` in the backward pass, for keras.RematScope."""
        # A second call would move batch statistics and draw another dropout.
        if self.non_trainable_variables:
            return call
        # Only tensors, and by position: Keras passes all arguments, of which
        # JAX traces bools, and TensorFlow rejects keywords in graphs. Masks
        # and lengths have no gradient, which TensorFlow requires.
        given = keras.tree.flatten((args, kwargs))
        places = [
            i
            for i, x in enumerate(given)
            if keras.ops.is_tensor(x)
            and keras.backend.is_float_dtype(
                keras.backend.standardize_dtype(x.dtype)
            )
        ]

        def call_with(*tensors: Any) -> Any:
            filled = [*given]
            for i, x in zip(places, tensors, strict=True):
                filled[i] = x
            packed = keras.tree.pack_sequence_as((args, kwargs), filled)
            return call(*packed[0], **packed[1])

        compute = super().rematerialized_call(call_with, *args, **kwargs)
        return lambda *_, **__: compute(*(given[i] for i in places))

    def compute_output_shape(self, *shape: Any, **named: Any) -> Any:
        """The shape of the only input, unless a layer defines another."""
        (only,) = (*shape, *named.values())
        return tuple(only)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for cls in type(self).__mro__:
            if cls.__module__ == __name__:
                break
            if "__init__" in vars(cls):
                names = inspect.signature(vars(cls)["__init__"]).parameters
                for name in [*names][1:]:
                    if name not in config and hasattr(self, name):
                        config[name] = serialize(getattr(self, name))
        return config

    def add_sublayer(
        self, cls: Any, name: str, shape: Shape | None = None, **options: Any
    ) -> Any:
        """Create a sublayer in this layer's dtype, built for a shape if any."""
        layer = cls(dtype=self.dtype_policy, name=name, **options)
        if shape is not None:
            layer.build(shape)
        return layer

    def set_kernel_options(
        self,
        seed: Any,
        initializer: InitializerLike | None,
        regularizer: RegularizerLike | None,
    ) -> None:
        """Validate and store what `add_kernel` uses."""
        self.seed = check_seed(seed)
        self.kernel_initializer = keras.initializers.get(initializer)
        self.kernel_regularizer = keras.regularizers.get(regularizer)

    def add_kernel(
        self,
        name: str,
        shape: tuple[int, ...],
        default: Any,
        index: int = 0,
        penalty: Any = None,
    ) -> Any:
        """Add a weight by `kernel_initializer` and `kernel_regularizer`.

        Args:
            name: the weight's name.
            shape: the weight's shape.
            default: the initializer class to use without `kernel_initializer`.
            index: the kernel's number, which is added to the seed.
            penalty: the regularizer to use without `kernel_regularizer`.
        """
        if self.kernel_initializer is None:
            initializer = default(seed=nth_seed(self.seed, index))
        else:
            initializer = copy_initializer(self.kernel_initializer)
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            regularizer=self.kernel_regularizer or penalty,
        )


class SequenceLayer(Layer):
    """A layer over padded sequences.

    It is called with named tensors, such as `layer(query, keys, lengths=n)`, or
    with DeepCTR's list, `layer([query, keys, n])`, which is unpacked here. A
    step is valid if it is within the lengths and True in the mask.

    A subclass declares `call(self, x, lengths=None, mask=None, x_mask=None)`.
    Keras fills in the mask that belongs to a tensor: as `mask` for the only
    tensor of a call, as `<name>_mask` where there are several.

    Args:
        supports_masking: applies to DeepCTR's list with lengths. If False,
            masks are ignored, as in DeepCTR; if True, both are combined.
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
        parameters = inspect.signature(self.call).parameters.values()
        self._call_parameters = tuple(
            p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD
        )
        self._lengths = tuple(
            n for n in self._call_parameters if n.endswith("lengths")
        )
        # Of the inputs; not Transformer's attention_mask, for example.
        masks = {"mask", *(f"{n}_mask" for n in self._call_parameters)}
        self._masks = tuple(n for n in self._call_parameters if n in masks)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = self._named(args, kwargs)
        return super().__call__(*args, **kwargs)

    def stateless_call(
        self, trainable: Any, non_trainable: Any, *args: Any, **kwargs: Any
    ) -> Any:
        args, kwargs = self._named(args, kwargs)
        return super().stateless_call(trainable, non_trainable, *args, **kwargs)

    def _named(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call, in either form, as `call` takes them."""
        parameters = self._call_parameters
        if args and isinstance(args[0], Mapping):
            expected = "tensors by name, layer(**inputs), or a list of them"
            raise_invalid("inputs", expected, describe_inputs([*args]))
        is_list = len(args) > 0 and isinstance(args[0], (list, tuple))
        given = self._unpack(args[0]) if is_list else {}
        names = ("mask",) if is_list else parameters
        args = args[1:] if is_list else args
        given |= dict(zip(names, args, strict=False))
        masks_and_lengths = {n for n in kwargs if n.endswith(ENDINGS)}
        unknown = masks_and_lengths - {*parameters, "mask"}
        if len(args) > len(names) or given.keys() & kwargs.keys() or unknown:
            raise TypeError(
                f"{self.name} takes {', '.join(parameters)}, each once; "
                f"received {describe_inputs([*args])} and {sorted(kwargs)}"
            )
        given |= kwargs
        given |= self._named_masks(given, given.pop("mask", None))
        has_lengths = [given.get(n) is not None for n in self._lengths]
        # The first lengths are those of the first sequence, whose mask is
        # propagated.
        if "mask" in parameters and has_lengths[:1] == [True]:
            # Keras would propagate the mask alone, which ignores the lengths.
            # False prevents it; None would be replaced by the tensor's mask.
            given.setdefault(f"{parameters[0]}_mask", given.get("mask"))
            given["mask"] = False
        if is_list and any(has_lengths) and not self.combines_masks:
            given |= dict.fromkeys(self._masks, False)
        # The first inputs by position, so that `layer.input` has their order.
        inputs = []
        for name in parameters:
            if name not in given or name.endswith(ENDINGS):
                break
            inputs.append(given.pop(name))
        return tuple(inputs), given

    def _unpack(self, inputs: Any) -> dict[str, Any]:
        """DeepCTR's list of inputs, by name."""
        names = self.deepctr_inputs
        features = [n for n in names if not n.endswith("lengths")]
        for expected in (names, features):
            if len(inputs) == len(expected):
                return dict(zip(expected, inputs, strict=True))
        either = f"[{', '.join(features)}]"
        if len(features) < len(names):
            either = f"[{', '.join(names)}], or {either} with a mask"
        raise_invalid("inputs", either, describe_inputs(inputs))

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
            names = ", ".join(self._lengths + self._masks)
            raise_invalid(
                self.name,
                f"one of {names}, or a mask from "
                "Embedding(mask_zero=True) or Masking (operations such as "
                "x + 1 lose it)",
                Unquoted("neither"),
            )
        return resolve_mask(x, mask, lengths)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return first_mask(mask) if self.keeps_steps else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        shapes = config.get("input_shape")
        if not shapes or is_shape(shapes):
            super().build_from_config(config)
        else:  # of DeepCTR's list
            parameters = inspect.signature(type(self).build).parameters
            self.build(*shapes[: len(parameters) - 1])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if "supports_masking" in config or not self.combines_masks:
            config["supports_masking"] = self.combines_masks
        return config


def first_mask(*masks: Any) -> Tensor | None:
    """Return the first tensor among masks; None and False mean no mask."""
    for mask in masks:
        if mask is not None and mask is not False:
            return mask
    return None


@dataclass(frozen=True)
class LayerTemplate:
    """A layer's class and config, from which copies are created.

    Keras would track the layer itself as a sublayer.
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


def copy_initializer(initializer: InitializerLike) -> Any:
    """Copy an initializer, since one object always returns the same values."""
    return keras.initializers.get(serialize(initializer))


def check_seed(seed: Any) -> int | None:
    """An integer, or None for different numbers each time."""
    return None if seed is None else check_int_below("seed", seed, SEEDS)


def nth_seed(seed: int | None, n: int) -> int | None:
    """The seed of a layer's n-th draw, so that equal shapes differ."""
    return None if seed is None else (seed + n) % SEEDS
