"""Who will run what TensorFlow traces."""

import tensorflow as tf


def in_xla() -> bool:
    """Whether XLA will compile it: `jit_compile=True`, here or further out."""
    return tf.__internal__.get_enclosing_xla_context() is not None
