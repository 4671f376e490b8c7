"""The table of contenders: implementations that run the same workloads.

Each module of this package has

- `FRAMEWORK`: "tensorflow", "torch" or "jax", the name of its runner;
- one function for each kind of workload it supports, `kind(workload, weights)`.
  It takes NumPy arrays and returns `call, variables`: `call(inputs, variables,
  training)` computes the output, `variables` lists the tensors whose gradients
  are computed.
"""

from dataclasses import dataclass

FRAMEWORKS = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}


@dataclass(frozen=True)
class Contender:
    """A module of this package on one framework.

    Args:
        name: identifies it in the JSON files.
        label: shown in tables and plots, next to the framework's name.
        compiled: run TensorFlow's graph under XLA.
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
    def is_kseq(self) -> bool:
        return self.module == "kseq"

    @property
    def baseline(self) -> str:
        """The name of the kseq contender that this one is compared with."""
        return {"tensorflow": "kseq-graph"}.get(
            self.framework, f"kseq-{self.framework}"
        )


CONTENDERS = {
    row[0]: Contender(*row)
    for row in (
        ("kseq-graph", "kseq, graph", "kseq", "tensorflow"),
        ("kseq-xla", "kseq, XLA", "kseq", "tensorflow", True),
        ("deepctr", "DeepCTR, graph", "deepctr", "tensorflow"),
        ("naive-graph", "naive port, graph", "naive", "tensorflow"),
        ("keras-lstm-graph", "Keras LSTM, graph", "keras_lstm", "tensorflow"),
        ("kseq-torch", "kseq", "kseq", "torch"),
        ("deepctr-torch", "deepctr-torch", "deepctr_torch", "torch"),
        ("naive-torch", "naive port", "naive", "torch"),
        ("keras-lstm-torch", "Keras LSTM", "keras_lstm", "torch"),
        ("kseq-jax", "kseq", "kseq", "jax"),
        ("naive-jax", "naive port", "naive", "jax"),
        ("keras-lstm-jax", "Keras LSTM", "keras_lstm", "jax"),
    )
}
