"""Give a model the weights of the same model in a PyTorch library.

`deepctr_torch.py` and `fuxictr.py` name the arrays of each layer; `Checkpoint`
converts them and keeps a record of those that are used.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from kseq.checks import Unquoted, check_instance, raise_invalid
from kseq.convert.dnn_input import DnnInput, class_name, dnn_input
from kseq.convert.placing import Pair, Placement, place
from kseq.convert.torch_files import read_state_dict

Array = NDArray[Any]


class Hidden(NamedTuple):
    """The modules of one layer of a network; "" for none."""

    linear: str
    norm: str
    activation: str


class Checkpoint:
    """The arrays of a checkpoint, and those that each weight gets.

    Args:
        state: a path, or arrays by name in the order of `state_dict()`.
    """

    def __init__(self, state: Any) -> None:
        self.description: object = "a dict"
        if isinstance(state, Mapping):
            found = {name: np.asarray(x) for name, x in state.items()}
        else:
            found = read_state_dict(state)
            self.description = Unquoted(state)
        self.arrays: dict[str, Array] = {
            name: array
            for name, array in found.items()
            # A counter that only training without a momentum reads.
            if not name.endswith(".num_batches_tracked")
        }
        self.unused = dict(self.arrays)
        self._of_weight: dict[str, tuple[Array, str]] = {}

    def put(
        self, weight: Any, convert: Callable[..., Array], *names: str
    ) -> None:
        """Give a weight the result of a function of the arrays of these names.

        Without effect if an array is missing or has a wrong shape: the weight
        and the arrays are then listed as not placed.
        """
        if not {*names} <= self.arrays.keys():
            return
        try:
            array = convert(*(self.arrays[name] for name in names))
        except (ValueError, IndexError):
            return
        self._of_weight[weight.path] = (array, ", ".join(names))
        for name in names:
            self.unused.pop(name, None)

    def linear(
        self,
        kernel: Any,
        bias: Any,
        module: str,
        rows: Callable[..., Array] = lambda kernel: kernel,
        more: Sequence[str] = (),
    ) -> None:
        """A linear layer; `rows` takes the kernel and the arrays of `more`."""
        name = f"{module}.weight"
        self.put(kernel, lambda w, *more: rows(w.T, *more), name, *more)
        if bias is not None:
            self.put(bias, np.asarray, f"{module}.bias")

    def network(
        self,
        dnn: Any,
        hidden: Sequence[Hidden],
        dice_epsilon: float = 1e-9,
        **first: Any,
    ) -> None:
        """A network, with the options of `linear` for its first layer."""
        for i, (names, kernel, bias) in enumerate(
            zip(hidden, dnn.kernels, dnn.biases, strict=False)
        ):
            self.linear(kernel, bias, names.linear, **({} if i else first))
            if dnn.bn_layers:
                self._norm(dnn.bn_layers[i], names.norm)
            activation = dnn.activation_layers[i]
            if class_name(activation) == "Dice":
                self._dice(activation, names.activation, dice_epsilon)

    def _norm(self, layer: Any, module: str) -> None:
        """PyTorch's epsilon is another one: gamma makes up for it."""

        def scaled(gamma: Array, variance: Array) -> Array:
            variance = variance.astype("float64")
            ratio = (variance + layer.epsilon) / (variance + 1e-5)
            return gamma * np.sqrt(ratio)

        variance = f"{module}.running_var"
        self.put(layer.gamma, scaled, f"{module}.weight", variance)
        self.put(layer.beta, np.asarray, f"{module}.bias")
        self.put(layer.moving_mean, np.asarray, f"{module}.running_mean")
        self.put(layer.moving_variance, np.asarray, variance)

    def _dice(self, layer: Any, module: str, epsilon: float) -> None:
        """The statistics make up for another epsilon, gamma and beta."""
        statistics = [f"{module}.bn.running_mean", f"{module}.bn.running_var"]
        affine = [f"{module}.bn.weight", f"{module}.bn.bias"]
        if affine[0] in self.arrays:
            if not np.all(self.arrays[affine[0]] > 0):
                expected = f"positive {affine[0]}, since Dice has no gamma here"
                raise_invalid("state", expected, self.arrays[affine[0]])
            statistics += affine

        def deviation(variance: Array) -> Array:
            return np.sqrt(variance.astype("float64") + epsilon)

        def mean(m: Array, v: Array, gamma: Any = 1.0, beta: Any = 0.0) -> Any:
            return m - beta * deviation(v) / gamma

        def variance(m: Array, v: Array, gamma: Any = 1.0, _: Any = 0.0) -> Any:
            return (deviation(v) / gamma) ** 2 - layer.epsilon

        self.put(layer.alphas, np.ravel, f"{module}.alpha")
        self.put(layer.bn.moving_mean, mean, *statistics)
        self.put(layer.bn.moving_variance, variance, *statistics)

    def gru(self, gru: Any, weights: Sequence[str], gates: str = "run") -> None:
        """A GRU.

        Args:
            gru: the layer.
            weights: the names of the kernels and the biases, of the input and
                of the state each: weight_ih, weight_hh, bias_ih, bias_hh.
            gates: the order of the reset and the update gate and the new state.
        """

        def part(x: Array, gate: str) -> Array:
            return np.split(x, 3)[gates.index(gate)]

        def kernel(parts: str) -> Callable[[Array, Array], Array]:
            def convert(*kernels: Array) -> Array:
                return np.concatenate(
                    [
                        np.concatenate([part(w, gate).T for gate in parts], 1)
                        for w in kernels
                    ]
                )

            return convert

        kernels, biases = weights[:2], weights[2:]
        self.put(gru.gates_kernel, kernel("ru"), *kernels)
        self.put(gru.candidate_kernel, kernel("n"), *kernels)
        self.put(
            gru.gates_bias,
            lambda x, h: np.concatenate(
                [part(x, gate) + part(h, gate) for gate in "ru"]
            ),
            *biases,
        )
        of_input, of_state = biases
        self.put(gru.candidate_bias, lambda x: part(x, "n"), of_input)
        self.put(gru.candidate_state_bias, lambda h: part(h, "n"), of_state)

    def table(self, table: Any, names: Sequence[str]) -> None:
        """An embedding table, and the arrays of the features that share it."""
        found = [name for name in names if name in self.arrays]
        for name in reversed(found):  # the first one is placed last
            if np.array_equal(self.arrays[name], self.arrays[found[0]]):
                self.put(table, np.asarray, name)

    def place(self, model: keras.Model) -> list[Placement]:
        """Assign all weights, or raise ValueError and list what is left."""
        pairs = [
            Pair(w, *self._of_weight.get(w.path, (None, "")))
            for w in model.weights
        ]
        layers = itertools.groupby(pairs, lambda p: p.weight.path.split("/")[0])
        left = [Pair(None, array, name) for name, array in self.unused.items()]
        return place(
            "state",
            f"an array for each weight of {model.name}, and a weight for each "
            "array",
            self.description,
            [*([*group] for _, group in layers), left],
        )


class Parts(NamedTuple):
    """The layers of a model that have weights, and its features."""

    attention: Any
    dnn: Any
    output: Any
    prediction: Any
    grus: list[Any]
    auxiliary: Any
    tables: dict[str, Any]
    input: DnnInput


def find_parts(model: Any) -> Parts:
    """The parts of a model of `kseq.models.DIN` or `DIEN`.

    Raises:
        ValueError: it is another model, or its GRUs are not PyTorch's.
    """
    expected = "a model of kseq.models.DIN or DIEN, with one history"
    check_instance("model", model, keras.Model, expected)
    layers = {layer.name: layer for layer in model.layers}
    attention = layers.get("attention_sequence_pooling_layer")
    if model.name not in ("DIN", "DIEN") or attention is None:
        raise_invalid("model", expected, model.name)
    grus = [layers[name] for name in ("gru1", "gru2") if name in layers]
    if any(not gru.reset_after for gru in grus):
        raise_invalid("model", "DIEN(reset_after=True)", Unquoted("False"))
    if any(g.gru_type == "AUGRU" and g.augru_form != "paper" for g in grus):
        raise_invalid("model", "DIEN(augru_form='paper')", "deepctr")
    found = dnn_input(model)
    return Parts(
        attention.local_att,
        layers["dnn"],
        layers["dense"],
        layers["prediction_layer"],
        grus,
        layers.get("auxiliary_loss"),
        {name: layers[name].embeddings for name in found.tables},
        found,
    )


def reorder(
    widths: Mapping[str, int],
    ours: Mapping[str, int],
    numbers: Sequence[str] = (),
) -> Callable[..., Array]:
    """A function that puts a kernel's rows into the order of our features.

    Args:
        widths: the number of rows of each feature, in the kernel's order.
        ours: our features, in order.
        numbers: those that have an embedding there, which is multiplied by
            their rows; further arguments of the function.
    """
    ends = [*itertools.accumulate(widths.values())]

    def convert(kernel: Array, *embeddings: Array) -> Array:
        if len(kernel) != ends[-1] or {*widths} != {*ours}:
            raise ValueError("other features")
        split = np.split(kernel, ends[:-1])
        parts = dict(zip(widths, split, strict=True))
        for name, embedding in zip(numbers, embeddings, strict=True):
            parts[name] = embedding.T.astype("float64") @ parts[name]
        return np.concatenate([parts[name] for name in ours])

    return convert
