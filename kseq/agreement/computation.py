"""A call of a layer or function, which any backend can compute in any dtype."""

import contextlib
import functools
import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement import probes
from kseq.agreement.numbers import rounded, seed_weights
from kseq.agreement.tables import POLICIES, compute_dtype
from kseq.checks import check_instance, raise_invalid


@dataclass(frozen=True)
class Computation:
    """A layer or a function of tensors, and the arguments to call it with.

    Args:
        function: a Keras layer, which is created again from its config for
            each computation; a `functools.partial` of a layer class, such as
            `partial(Dense, 3)`, for a layer that cannot be created from its
            config; a loss or metric; or a function of tensors.
        args: positional arguments: arrays, structures of arrays and options.
            Gradients are computed for floating-point arrays.
        kwargs: keyword arguments.
        reference: a NumPy implementation, or None. It receives what `function`
            does, with float64 arrays, and complex ones to differentiate it; if
            it has a parameter `weights`, also the list of the layer's weights.
            Its outputs have the shapes of the layer's.

    Raises:
        ValueError: if an argument is invalid.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from kseq.agreement import Computation, measure
        >>> x = np.array([[3.0, 4.0]])
        >>> computation = Computation(keras.layers.UnitNormalization(), [x])
        >>> measure(computation, "float32", "forward").values["output"]
        array([[0.6, 0.8]], dtype=float32)
    """

    function: Callable[..., Any]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    reference: Callable[..., Any] | None = None
    cache: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        expected = "a layer or a function"
        check_instance("function", self.function, Callable, expected)
        if isinstance(self.function, type):
            expected = "a layer, such as Dense(3), or partial(Dense, 3)"
            raise_invalid("function", expected, self.function)
        if self.reference is not None:
            expected = "a function or None"
            check_instance("reference", self.reference, Callable, expected)
        arguments = tuple(self.args), dict(self.kwargs)
        args, kwargs = keras.tree.map_structure(_to_array, arguments)
        object.__setattr__(self, "args", args)
        object.__setattr__(self, "kwargs", kwargs)

    @property
    def is_layer(self) -> bool:
        return isinstance(self.function, keras.Layer) or is_factory(
            self.function
        )

    def built(
        self, policy: str, change: Callable[[int, Any], Any] | None = None
    ) -> "Built":
        """Build the computation with tensors, under the current dtype policy.

        Args:
            policy: the current dtype policy.
            change: returns the float64 array number `i`, changed; arguments
                come first, then weights.
        """
        dtype = compute_dtype(policy)
        arrays = self.arrays(policy)
        function = self.make(policy)
        if isinstance(function, keras.Layer):
            self._build(function, *to_tensors(arrays, dtype))
            seed_weights(function, dtype=dtype)
        if change is not None:
            flat = keras.tree.flatten(arrays)
            changed = [_change(x, i, change) for i, x in enumerate(flat)]
            arrays = keras.tree.pack_sequence_as(arrays, changed)
            for i, w in enumerate(weights_of(function), len(flat)):
                w.assign(_change(ops.convert_to_numpy(w.value), i, change))
        return Built(function, *to_tensors(arrays, dtype))

    def _build(self, layer: Any, args: Any, kwargs: Any) -> None:
        """Build a layer; after the first time from shapes, which is faster."""
        config = self.cache.get("build")
        if config and not layer.built:
            layer.build_from_config(config)
        if not layer.built:
            build(layer, args, kwargs)
            # A layer of layers may not know all the shapes.
            if not getattr(layer, "layers", None):
                self.cache["build"] = layer.get_build_config()

    def make(self, policy: str) -> Any:
        """Create the layer, or return the function."""
        if is_factory(self.function):
            return self.function()
        if isinstance(self.function, keras.Layer):
            return clone(self.function, policy)
        # Losses and metrics take their dtype from the current policy.
        if isinstance(self.function, keras.losses.Loss | keras.metrics.Metric):
            config = {**self.function.get_config()}
            config.pop("dtype", None)
            return type(self.function).from_config(config)
        return self.function

    def arrays(self, policy: str) -> tuple[Any, Any]:
        """Return the arguments; floats are float64, rounded to the policy."""
        dtype = compute_dtype(policy)

        def round_floats(x: Any) -> Any:
            if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
                return x
            return rounded(x.astype("float64"), dtype)

        arguments = self.args, self.kwargs
        return keras.tree.map_structure(round_floats, arguments)

    def names(self) -> list[str]:
        """Return a name for each leaf of the arguments."""
        call = self.function
        if is_factory(call):
            call = call.func  # type: ignore[attr-defined]
        call = getattr(call, "call", call)
        try:
            names = list(inspect.signature(call).parameters)
        except (TypeError, ValueError):  # such as a function written in C
            names = []
        names = [name for name in names if name != "self"]
        given = {
            names[i] if i < len(names) else str(i): x
            for i, x in enumerate(self.args)
        }
        # In the order of `keras.tree.flatten((args, kwargs))`.
        parts = [*given.items(), *sorted(self.kwargs.items())]
        return [
            "/".join([name, *map(str, path)])
            for name, x in parts
            for path, _ in keras.tree.flatten_with_path(x)
        ]

    def digest(self) -> str:
        """Return a hash of the arguments, which must be equal in all runs."""
        digest = hashlib.sha256()
        for x in keras.tree.flatten((self.args, self.kwargs)):
            if isinstance(x, np.ndarray):
                digest.update(repr((x.dtype.str, x.shape)).encode())
                digest.update(np.ascontiguousarray(x).tobytes())
            elif isinstance(x, int | float | str | bool | type(None)):
                digest.update(repr(x).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Built:
    """A layer with seeded weights, or a function, and tensors."""

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def is_factory(function: Any) -> bool:
    return (
        isinstance(function, functools.partial)
        and isinstance(function.func, type)
        and issubclass(function.func, keras.Layer)
    )


def _to_array(x: Any) -> Any:
    """Convert tensors and NumPy scalars to arrays; keep everything else."""
    if keras.ops.is_tensor(x):
        return np.asarray(ops.convert_to_numpy(x))
    return np.asarray(x) if isinstance(x, np.generic) else x


def to_tensors(arrays: Any, dtype: str) -> Any:
    """Convert arrays to tensors, floating-point ones with the dtype.

    Integers of 64 bits are converted to 32 bits if they fit, since JAX does so.
    """

    def tensor(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        # A copy, since PyTorch's tensors share memory with arrays.
        x = _narrow(x).copy()
        return ops.convert_to_tensor(x, dtype if x.dtype.kind == "f" else None)

    return keras.tree.map_structure(tensor, arrays)


def _narrow(x: Any) -> Any:
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 8:
        return x
    narrow = x.astype(f"{x.dtype.kind}4")
    return narrow if np.array_equal(narrow, x) else x


def _change(x: Any, i: int, change: Callable[[int, Any], Any]) -> Any:
    is_float = isinstance(x, np.ndarray) and x.dtype.kind == "f"
    return change(i, x) if is_float else x


def weights_of(function: Any) -> list[Any]:
    """Return the weights of a layer; a function has none."""
    is_layer = isinstance(function, keras.Layer)
    return list(function.weights) if is_layer else []


def build(layer: Any, args: Any, kwargs: Any) -> None:
    """Build a layer without computing, so that no state changes."""
    call_symbolically(layer, args, kwargs)


def call_symbolically(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a layer or function with symbols in place of tensors."""

    def symbol(x: Any) -> Any:
        if not ops.is_tensor(x):
            return x
        dtype = keras.backend.standardize_dtype(x.dtype)
        return keras.KerasTensor(tuple(x.shape), dtype=dtype)

    args, kwargs = keras.tree.map_structure(symbol, (args, kwargs))
    return function(*args, **kwargs)


def clone(layer: Any, policy: str) -> Any:
    """Create a layer from its config under another dtype policy."""
    config, own = layer.get_config(), layer.dtype_policy.name
    if own in POLICIES:  # not that of a layer that returns integers
        config = with_policy(config, own, policy)
    return type(layer).from_config(config)


def with_policy(config: Any, old: str, new: str) -> Any:
    """Return a config, nested too, with another dtype policy."""
    if isinstance(config, Mapping):
        if config.get("class_name") == "InputLayer":  # has no policy
            new = compute_dtype(new)
        return {
            key: new
            if key == "dtype" and _policy_name(value) == old
            else with_policy(value, old, new)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(with_policy(x, old, new) for x in config)
    return config


def _policy_name(dtype: Any) -> Any:
    if isinstance(dtype, Mapping):
        return dtype.get("config", {}).get("name")
    return dtype


# Keras's floatx is global to the process; its dtype policy, to the thread.
_dtype_lock = threading.RLock()


@contextlib.contextmanager
def dtype_scope(policy: str) -> Iterator[None]:
    """Set Keras's default dtype in a `with` block, and restore it at the end.

    Only one thread at a time can be in such a block, but the floatx that it
    sets is visible in all threads.
    """
    with _dtype_lock, contextlib.ExitStack() as stack:
        before, floatx = keras.config.dtype_policy(), keras.config.floatx()
        if policy == "float64":
            stack.enter_context(probes.float64())
            keras.config.set_floatx("float64")
        keras.config.set_dtype_policy(policy)
        try:
            yield
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(before)
