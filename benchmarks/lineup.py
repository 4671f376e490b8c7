"""Who is measured: the one table of contenders."""

from dataclasses import dataclass

FRAMEWORKS = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
# Most hand-written code computes padding, too; the best does not.
BY_HAND = "by hand, no padding"
WHOLE_BATCH = "by hand, whole batch"


@dataclass(frozen=True)
class Contender:
    """A module of `benchmarks.contenders` on one framework.

    Args:
        name: in options, claims and JSON.
        label: on the page, beside the framework's name.
        compiled: TensorFlow's XLA, torch.compile.
    """

    name: str
    label: str
    module: str
    framework: str
    compiled: bool = False

    @property
    def title(self) -> str:
        return f"{FRAMEWORKS[self.framework]}: {self.label}"

    @property
    def is_ours(self) -> bool:
        return self.module == "kseq"


LINEUP = {
    contender.name: contender
    for contender in (
        Contender("kseq-graph", "kseq, graph", "kseq", "tensorflow"),
        Contender("kseq-xla", "kseq, XLA", "kseq", "tensorflow", True),
        Contender("deepctr", "DeepCTR, graph", "deepctr", "tensorflow"),
        Contender("naive-graph", "naive port, graph", "naive", "tensorflow"),
        Contender(
            "keras-lstm-graph", "Keras LSTM, graph", "keras_lstm", "tensorflow"
        ),
        Contender(
            "native-graph",
            f"{BY_HAND}, graph",
            "native_tensorflow",
            "tensorflow",
        ),
        Contender(
            "native-xla",
            f"{BY_HAND}, XLA",
            "native_tensorflow",
            "tensorflow",
            True,
        ),
        Contender("kseq-torch", "kseq", "kseq", "torch"),
        Contender("deepctr-torch", "deepctr-torch", "deepctr_torch", "torch"),
        Contender("naive-torch", "naive port", "naive", "torch"),
        Contender("keras-lstm-torch", "Keras LSTM", "keras_lstm", "torch"),
        Contender("native-torch", BY_HAND, "native_torch", "torch"),
        Contender("whole-torch", WHOLE_BATCH, "whole_torch", "torch"),
        Contender("kseq-jax", "kseq", "kseq", "jax"),
        Contender("naive-jax", "naive port", "naive", "jax"),
        Contender("keras-lstm-jax", "Keras LSTM", "keras_lstm", "jax"),
        Contender("native-jax", BY_HAND, "native_jax", "jax"),
    )
}


def ours(contender: Contender) -> str:
    """The name of the kseq that a contender is compared with."""
    (found,) = (
        other.name
        for other in LINEUP.values()
        if other.is_ours
        and other.framework == contender.framework
        and other.compiled == contender.compiled
    )
    return found


def choose(frameworks: list[str], names: list[str]) -> list[Contender]:
    """Those of the frameworks and the names, or modules; all, where none."""
    known = {*LINEUP, *(c.module for c in LINEUP.values())}
    for name in names:
        if name not in known:
            raise ValueError(f"contenders: expected {known}; received {name}")
    return [
        contender
        for contender in LINEUP.values()
        if (not frameworks or contender.framework in frameworks)
        and (not names or {contender.name, contender.module} & {*names})
    ]
