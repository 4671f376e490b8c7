import inspect
from typing import Any

import keras

from kseq.checks import (
    Unquoted,
    check_rank,
    check_same_dim,
    check_width,
    describe_inputs,
    is_shape,
    raise_invalid,
)
from kseq.ops.arguments import INTEGERS, NUMBERS
from kseq.types import Shape

LENGTHS = "integers or whole floats"


class CheckedLayer(keras.layers.Layer):
    """A layer that looks at what it is called with, before Keras does.

    Keras asks for tensors, but for no dtype, and for a shape only when it
    builds. Here a call is refused at once, eager or symbolic, with an error
    that names the input. What only the values tell is not looked at.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Looked up here: torch.compile cannot look into a signature.
        self._call_options = tuple(inspect.signature(self.call).parameters)[1:]

    def named(self, inputs: Any) -> dict[str, Any]:
        """The inputs by name, of tensors or of shapes; refused where there are
        more or fewer.
        """
        return {"inputs": inputs}

    def check_shapes(self, shapes: dict[str, Shape]) -> None:
        """Refuse shapes that do not fit each other, or what is built."""

    def check_mask(self, mask: Any, tensors: dict[str, Any]) -> None:
        """Refuse a mask that does not fit the inputs."""
        name, x = next(iter(tensors.items()))
        check_fits(mask, **{name: x})

    def check_options(
        self, tensors: dict[str, Any], options: dict[str, Any]
    ) -> None:
        """Refuse further call arguments that do not fit the inputs."""
        if options.get("mask") is not None:
            self.check_mask(options["mask"], tensors)

    def check_width(self, name: str, shape: Shape) -> None:
        """Refuse an input of another width than the layer was built for."""
        if self.built:
            check_width(name, shape, -1, dict(self._widths)[name])

    def build(self, input_shape: Any) -> None:
        shapes = self.named(input_shape)
        self.check_shapes(shapes)
        # Not a dict, which Keras would take for a keeper of weights.
        self._widths = tuple((n, (None, *s)[-1]) for n, s in shapes.items())

    def shape_of_output(self, input_shape: Any) -> Any:
        """`compute_output_shape` of shapes that have been looked at."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self.named(input_shape)
        for name, shape in shapes.items():
            if not is_shape(shape):
                raise_invalid(name, "the shape of a tensor", shape)
        self.check_shapes(shapes)
        return self.shape_of_output(input_shape)

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        tensors = self.named(inputs)
        for name, x in tensors.items():
            check_numbers(name, x)
        self.check_shapes({n: tuple(x.shape) for n, x in tensors.items()})
        by_place = dict(zip(self._call_options, args, strict=False))
        self.check_options(tensors, by_place | options)
        return super().__call__(inputs, *args, **options)


def check_numbers(name: str, x: Any) -> None:
    """Refuse what is no tensor of floats or integers."""
    expected = "a tensor of floats or integers"
    _check_dtype(name, x, NUMBERS, LENGTHS if "lengths" in name else expected)


def check_lengths(name: str, lengths: Shape, **of: Shape) -> None:
    """Refuse lengths that are not one for each example of a sequence."""
    check_rank(name, lengths, (1, 2))
    if len(lengths) == 2 and lengths[1] not in (1, None):
        raise_invalid(name, "shape (batch, 1) or (batch,)", lengths)
    ((sequence, shape),) = of.items()
    if None not in (lengths[0], shape[0]) and lengths[0] != shape[0]:
        raise_invalid(
            name,
            f"one for each of the {shape[0]} {sequence}",
            Unquoted(f"shape {tuple(lengths)}"),
        )


def check_fits(mask: Any, rank: int | None = None, **of: Any) -> None:
    """Refuse a mask whose axes are not the first of a tensor's; None is none.

    Args:
        mask: what came as `mask=`, or in it.
        rank: the mask's; None: up to the tensor's.
        of: the tensor by its name.
    """
    if mask is None:
        return
    expected = "bools, or integers 0 and 1"
    _check_dtype("mask", mask, ("bool", *INTEGERS), expected)
    ((name, x),) = of.items()
    ranks = tuple(range(1, len(x.shape) + 1)) if rank is None else (rank,)
    check_rank("mask", mask.shape, ranks)
    for axis in range(len(mask.shape)):
        check_same_dim(axis, mask=mask.shape, **{name: x.shape})


def _check_dtype(
    name: str, x: Any, dtypes: tuple[str, ...], expected: str
) -> None:
    # Arrays, and symbolic tensors too: Keras makes tensors of them later.
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise_invalid(name, expected, describe_inputs(x))
    try:
        dtype = keras.backend.standardize_dtype(x.dtype)
    except ValueError:  # objects
        dtype = str(x.dtype)
    if dtype not in dtypes:
        raise_invalid(name, expected, Unquoted(f"dtype {dtype}"))
