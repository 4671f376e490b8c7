"""What each backend exports to, and how it is asked."""

from dataclasses import dataclass, field

BACKENDS = ("tensorflow", "torch", "jax")


@dataclass(frozen=True)
class Kind:
    format: str
    options: dict = field(default_factory=dict)
    known_steps_only: bool = False


# Not 2: where batch_size * steps is the width of the histories, as of DIN here,
# LiteRT (TensorFlow 2.21) computes something else, and is refused.
ONE_SIZE = {"batch_size": 3}
FORMATS = {
    "tensorflow": (
        Kind("tf_saved_model"),
        Kind("onnx"),
        Kind("openvino"),
        Kind("litert", ONE_SIZE),
    ),
    "torch": (
        Kind("onnx"),
        Kind("openvino"),
        # It has one shape of each input.
        Kind("litert", ONE_SIZE, known_steps_only=True),
        Kind("torch"),
    ),
    "jax": (Kind("tf_saved_model"), Kind("onnx")),
}
