"""The `agreement` fixture: compute on this backend, check, and record."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement import probes
from kseq.agreement.compare import Comparison, compare_entries
from kseq.agreement.computation import (
    Computation,
    build,
    clone,
    dtype_scope,
    to_tensors,
)
from kseq.agreement.known import Known, split_names
from kseq.agreement.measure import (
    CALLS,
    LeftOutError,
    dtype_fact,
    measure,
    named_outputs,
    narrowed,
    references,
    sensitivities,
    to_numpy,
)
from kseq.agreement.numbers import seed_weights
from kseq.agreement.record import LAYERS, Entry
from kseq.agreement.script import recipe
from kseq.agreement.tables import (
    KINDS,
    POLICIES,
    ROUNDINGS,
    compute_dtype,
    epsilon,
    tolerance,
)
from kseq.agreement.values import (
    Limits,
    find_difference,
    first_call,
    floor_of,
    largest,
)
from kseq.checks import check_bool, check_instance, raise_invalid

DEFAULT_KINDS = ("forward", "training", "forward_compiled", "gradients")


@dataclass
class Agreement:
    """Compute calls of layers and functions, and check what they return.

    The value of the pytest fixture `agreement`.

    On one backend, a call is compared with its reference, its compiled form,
    its symbolic outputs, a layer from its config, and a repeated call. With
    `pytest --agreement=tensorflow,torch,jax` all results are also compared
    between the backends.

    Args:
        test: the test's node id.
        explain: see `kseq.agreement.compare`.
        raises: whether a call raises AssertionError at once for what is wrong
            on this backend; otherwise its entries have it.
        known: the known differences of this backend.

    Example:
        >>> import numpy as np
        >>> from keras import ops
        >>> from kseq.agreement import Agreement
        >>> agreement = Agreement("test_square")
        >>> settings = {"dtypes": "float32", "kinds": "forward"}
        >>> x = np.array([1.0, 2.0])
        >>> agreement(ops.square, x, reference=lambda x: x**2, **settings)
        >>> agreement(
        ...     ops.square, x, reference=lambda x: x**3, **settings
        ... )  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        AssertionError: square, call 2, float32 forward, output: ...
    """

    test: str
    explain: bool = True
    raises: bool = True
    known: Sequence[Known] = ()
    entries: list[Entry] = field(default_factory=list)
    computations: list[Computation] = field(default_factory=list)

    def __call__(
        self,
        function: Callable[..., Any] | Computation,
        /,
        *args: Any,
        dtypes: str | Sequence[str] = ("float32", "float64"),
        kinds: str | Sequence[str] = DEFAULT_KINDS,
        reference: Callable[..., Any] | None = None,
        rtol: float | None = None,
        finite: bool = False,
        **kwargs: Any,
    ) -> None:
        """Compute a call in each dtype and kind.

        Args:
            function: a layer, `functools.partial` of a layer class, a loss, a
                metric, a function of tensors, or a `Computation`, which has
                its own arguments and reference.
            *args: its positional arguments, with NumPy arrays for tensors.
            dtypes: dtype policies: "float64", "float32", "bfloat16",
                "float16", "mixed_bfloat16", "mixed_float16".
            kinds: "forward", "training", "forward_compiled", "gradients",
                which are the default, "gradients_compiled", "fit".
            reference: a NumPy implementation with the same arguments, or None.
            rtol: the limit relative to an array's largest value, instead of
                `kseq.agreement.tables.TOLERANCES`.
            finite: whether NaN and infinity are failures.
            **kwargs: its keyword arguments.

        Raises:
            ValueError: if an argument is invalid.
            AssertionError: if something is wrong on this backend.
        """
        computation = (
            function
            if isinstance(function, Computation)
            else Computation(function, args, kwargs, reference)
        )
        policies = split_names("dtypes", dtypes, POLICIES)
        kinds = split_names("kinds", kinds, KINDS)
        check_bool("finite", finite)
        if rtol is not None and not (
            isinstance(rtol, int | float) and 0 < rtol < 1
        ):
            raise_invalid("rtol", "a number between 0 and 1, or None", rtol)
        call = len(self.computations)
        self.computations.append(computation)
        entries = []
        label = label_of(computation.function)
        done: dict[tuple[str, str], Entry] = {}
        # Float64 first, since other policies are compared with it.
        for policy in sorted(policies, key=POLICIES.index):
            for kind in kinds:
                entry = Entry(call, label, policy, kind)
                entry.relative, entry.finite = rtol, finite
                entries.append(entry)
                self._compute(computation, entry, done)
        if all(entry.left_out for entry in entries) and not _predicts_only():
            reasons = sorted({entry.left_out for entry in entries})
            raise_invalid("kinds", "a kind that can be computed", reasons)
        for entry in entries:
            if entry.policy == "float64" and not entry.sensitivities:
                _scale_sensitivities(entry, done)
        forward = [
            e
            for e in entries
            if e.kind == "forward" and not e.left_out and not e.error
        ]
        if forward:
            # The last policy: Keras's symbolic outputs are often wrong in
            # float64.
            forward[-1].own += check_spec(computation, forward[-1].policy)
            forward[-1].own += check_config(computation)
        if not self.raises:
            first = entries[0]
            first.imports, first.expression, first.arguments = recipe(
                computation
            )
        self._finish(entries)

    def _compute(
        self,
        computation: Computation,
        entry: Entry,
        done: dict[tuple[str, str], Entry],
    ) -> None:
        policy, kind = entry.policy, entry.kind
        eager = kind.removesuffix("_compiled")
        try:
            measured = measure(computation, policy, kind)
            entry.values, entry.facts = measured.values, measured.facts
            entry.facts["arguments"] = computation.digest()
            if policy == "float64" and self.explain:
                entry.narrowed = narrowed(computation)
            entry.own += [
                f"argument {name!r} was changed by the call"
                for name in measured.changed
            ]
            if kind != eager and (policy, eager) in done:
                entry.references = done[policy, eager].references
                entry.sensitivities = done[policy, eager].sensitivities
            else:
                entry.references = references(computation, policy, kind)
                entry.sensitivities = sensitivities(
                    computation,
                    policy,
                    kind,
                    entry,
                    done.get(("float64", kind)),
                    "float32" if entry.narrowed else policy,
                )
            if entry.narrowed and kind != "fit":
                add_narrowing(entry, computation)
        except LeftOutError as reason:
            entry.left_out = str(reason)
            return
        except Exception as error:  # a layer can raise anything
            entry.error = describe_error(error)
            return
        done[policy, kind] = entry
        if kind == "forward":
            entry.own += check_repeated(entry)
        if kind != eager and (policy, eager) in done:
            entry.own += check_compiled(done[policy, eager], entry)

    def localize(
        self, model: Any, *inputs: Any, training: bool = False, seed: int = 0
    ) -> None:
        """Record the inputs and outputs of each layer of a model.

        With several backends, the first layer whose output differs, although
        its inputs agree, is reported.

        Args:
            model: a built model or layer, whose weights are set to numbers that
                are the same on every backend.
            *inputs: what the model is called with.
            training: passed to the model.
            seed: the seed of the weights.
        """
        check_instance("model", model, keras.Layer, "a Keras model or layer")
        entry = Entry(
            len(self.computations),
            label_of(model),
            model.dtype_policy.name,
            LAYERS,
        )
        self.computations.append(Computation(model, inputs))
        try:
            entry.values = layer_outputs(model, inputs, training, seed)
        except Exception as error:  # a layer can raise anything
            entry.error = describe_error(error)
        self._finish([entry])

    def _finish(self, entries: list[Entry]) -> None:
        self.entries += entries
        if not self.raises:
            return
        backend = keras.backend.backend()
        comparison = Comparison([])
        failures = [
            f
            for entry in entries
            if not any(k.matches(entry.policy, entry.kind) for k in self.known)
            for f in compare_entries(
                comparison, self.test, {backend: entry}, self.explain
            )
        ]
        if failures:
            raise AssertionError("\n".join(map(str, failures)))


def add_narrowing(entry: Entry, computation: Computation) -> None:
    """Let each result change by one rounding of the arguments to float32.

    Where the arguments cancel, as in `x - mean(x)` of one step, `sensitivities`
    are 0, but what Keras has rounded to 32 bits does not cancel.
    """
    arrays = keras.tree.flatten(computation.arrays(entry.policy))
    floats = [x for x in arrays if getattr(x, "dtype", None) == "float64"]
    change = epsilon("float32") * max(map(largest, floats), default=0.0)
    limit = tolerance(entry.kind, "float32").limit
    for name, x in entry.values.items():
        if x is None or x.dtype.kind != "f":
            continue
        known = entry.sensitivities.get(name)
        if known is None:  # the ordinary limit
            known = np.full(x.shape, limit * largest(x) / ROUNDINGS["float32"])
        entry.sensitivities[name] = np.maximum(known, change)


def label_of(function: Any) -> str:
    """Return a short name of a layer or function."""
    function = getattr(function, "func", function)  # of a partial
    name = getattr(function, "__name__", None) or type(function).__name__
    return str(name)


def describe_error(error: Exception) -> str:
    """Return an error's message and the end of its traceback."""
    lines = traceback.format_exception(error)
    text = "".join(lines).strip()
    return text if len(text) < 6000 else f"...{text[-6000:]}"


def _predicts_only() -> bool:
    return keras.backend.backend() in ("numpy", "openvino")


def _scale_sensitivities(
    entry: Entry, done: Mapping[tuple[str, str], Entry]
) -> None:
    """Use float32's sensitivities, in roundings of float64."""
    narrow = done.get(("float32", entry.kind))
    ratio = epsilon("float64") / epsilon("float32")
    if narrow is not None:
        entry.sensitivities = {
            name: x * ratio for name, x in narrow.sensitivities.items()
        }


def check_repeated(entry: Entry) -> list[str]:
    """Compare the third call with the first, unless the state has changed."""
    suffix = f" of call {CALLS}"
    states = [n for n in entry.values if n.startswith("state")]
    again = {n for n in entry.values if n.endswith(suffix)}
    changed = any(
        not np.array_equal(
            entry.values[n], entry.values[n + suffix], equal_nan=True
        )
        for n in states
        if n + suffix in again
    )
    if changed:
        return []
    found = []
    for name in again:
        first = name.removesuffix(suffix)
        if not first.startswith("output") or first not in entry.values:
            continue
        values = {
            "call 1": entry.values[first],
            f"call {CALLS}": entry.values[name],
        }
        if finding := find_difference(values, _limits(entry, first)):
            found.append(f"{first}: repeated calls differ: {finding.text}")
    return found


def check_compiled(eager: Entry, compiled: Entry) -> list[str]:
    """Compare a compiled computation with the eager one."""
    found = []
    for name, value in compiled.values.items():
        if name not in eager.values:
            found.append(f"{name}: only the compiled call returned it")
            continue
        limits = _limits(eager, name)
        values = {"eager": eager.values[name], "compiled": value}
        if finding := find_difference(values, limits):
            found.append(f"{name}: {finding.text}")
    return found


def _limits(entry: Entry, name: str) -> Limits:
    policy = "float32" if entry.narrowed else entry.policy
    limit = entry.relative or tolerance(entry.kind, policy).limit
    scale = floor_of(name, entry.kind, entry.values)
    sensitivity = entry.sensitivities.get(first_call(name))
    return Limits(limit, policy, scale, sensitivity)


def check_spec(computation: Computation, policy: str) -> list[str]:
    """Compare the symbolic outputs of a layer with the actual ones."""
    module = getattr(computation.function, "__module__", "") or ""
    # Keras's losses and activations do not promise symbolic calls.
    if not computation.is_layer and not module.startswith("keras.src.ops"):
        return []
    with dtype_scope(policy):
        built = computation.built(policy)
        actual = probes.forward(built.function, built.args, built.kwargs, False)
        try:
            symbols = keras.tree.map_structure(
                _symbol, (built.args, built.kwargs)
            )
            spec = built.function(*symbols[0], **symbols[1])
        except Exception as error:  # a layer can raise anything
            return [f"a symbolic call raised {type(error).__name__}: {error}"]
    specs, outputs = named_outputs(spec), named_outputs(actual)
    if [n for n, _ in specs] != [n for n, _ in outputs]:
        names = [n for n, _ in specs], [n for n, _ in outputs]
        return [f"a symbolic call returns {names[0]}, a call {names[1]}"]
    found = []
    for (name, symbol), (_, tensor) in zip(specs, outputs, strict=True):
        shape = tuple(tensor.shape)
        expected = tuple(symbol.shape)
        dtype, symbolic = dtype_fact(tensor), dtype_fact(symbol)
        if len(shape) != len(expected) or any(
            e not in (None, s) for e, s in zip(expected, shape, strict=True)
        ):
            found.append(
                f"{name}: a symbolic call has shape {expected}, a call {shape}"
            )
        if symbolic != dtype:
            found.append(
                f"{name}: a symbolic call has dtype {symbolic}, a call {dtype}"
            )
    return found


def _symbol(x: Any) -> Any:
    if not ops.is_tensor(x):
        return x
    dtype = keras.backend.standardize_dtype(x.dtype)
    return keras.KerasTensor(tuple(x.shape), dtype=dtype)


def check_config(computation: Computation) -> list[str]:
    """Compare a layer with one that is created from its config."""
    layer = computation.function
    if computation.is_layer and not isinstance(layer, keras.Layer):
        layer = layer()
    if not isinstance(layer, keras.Layer):
        return []
    policy = layer.dtype_policy.name
    if policy not in POLICIES:
        return []
    try:
        other = clone(layer, policy)
        expected, actual = (
            _outputs_of(computation, x, policy) for x in (layer, other)
        )
    except Exception as error:  # a layer can raise anything
        return [f"from_config(get_config()): {type(error).__name__}: {error}"]
    limits = Limits(tolerance("forward", policy).limit, policy)
    found = []
    for name in expected.keys() | actual.keys():
        values = {
            "the layer": expected.get(name),
            "from its config": actual.get(name),
        }
        if any(x is None for x in values.values()):
            found.append(f"{name}: a layer from the config lacks or adds it")
        elif finding := find_difference(values, limits):
            text = finding.text
            found.append(f"a layer from its config differs, {name}: {text}")
    return found


def _outputs_of(
    computation: Computation, layer: Any, policy: str
) -> dict[str, Any]:
    """Call a layer with seeded weights."""
    dtype = compute_dtype(policy)
    with dtype_scope(policy):
        args, kwargs = to_tensors(computation.arrays(policy), dtype)
        if not layer.built:
            build(layer, args, kwargs)
        seed_weights(layer, dtype=dtype)
        for seed in (v for v in layer.variables if "seed_generator" in v.path):
            seed.assign(np.zeros(seed.shape, seed.dtype))
        outputs = named_outputs(probes.forward(layer, args, kwargs, False))
        return {name: to_numpy(x) for name, x in outputs}


def layer_outputs(
    model: Any, inputs: Any, training: bool, seed: int
) -> dict[str, Any]:
    """Call a model; return each layer's inputs and outputs, in order."""
    seed_weights(model, seed)
    tensors = keras.tree.map_structure(
        lambda x: ops.convert_to_tensor(x) if isinstance(x, np.ndarray) else x,
        inputs,
    )
    found: dict[str, Any] = {}
    layers = [x for x in _all_layers(model) if x is not model]

    def observe(i: int, layer: Any) -> Callable[[], None]:
        call = layer.call
        name = f"layer {i} {layer.name} ({type(layer).__name__})"

        def observed(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            for what, x in (("input", (args, kwargs)), ("output", outputs)):
                tensors = [t for t in keras.tree.flatten(x) if ops.is_tensor(t)]
                for j, tensor in enumerate(tensors):
                    key = f"{name}, {what}"
                    found.setdefault(f"{key} {j}", to_numpy(tensor))
            return outputs

        object.__setattr__(layer, "call", observed)
        return lambda: object.__delattr__(layer, "call")

    restore = [observe(i, layer) for i, layer in enumerate(layers)]
    try:
        outputs = model(*tensors, training=training)
    finally:
        for undo in restore:
            undo()
    for name, x in named_outputs(outputs):
        found[f"the model's {name}"] = to_numpy(x)
    return found


def _all_layers(model: Any) -> Iterator[Any]:
    yield model
    for layer in getattr(model, "layers", []) or getattr(model, "_layers", []):
        yield from _all_layers(layer)
