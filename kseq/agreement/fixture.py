"""The `agreement` fixture: compute on this backend, check, and record."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from kseq.agreement.compare import Comparison, compare_entries
from kseq.agreement.computation import Computation
from kseq.agreement.known import Known, split_names
from kseq.agreement.localize import layer_outputs
from kseq.agreement.measure import LeftOutError, measure, narrowed
from kseq.agreement.record import LAYERS, Entry
from kseq.agreement.reference import references
from kseq.agreement.script import recipe
from kseq.agreement.self_checks import (
    check_compiled,
    check_config,
    check_repeated,
    check_spec,
)
from kseq.agreement.sensitivity import (
    add_narrowing,
    scale_sensitivities,
    sensitivities,
)
from kseq.agreement.tables import KINDS, POLICIES
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
            for kind in sorted(kinds, key=KINDS.index):
                entry = Entry(call, label, policy, kind)
                entry.relative, entry.finite = rtol, finite
                entries.append(entry)
                self._compute(computation, entry, done)
        if all(entry.left_out for entry in entries) and not _predicts_only():
            reasons = sorted({entry.left_out for entry in entries})
            raise_invalid("kinds", "a kind that can be computed", reasons)
        for entry in entries:
            if entry.policy == "float64" and not entry.sensitivities:
                scale_sensitivities(entry, done)
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
