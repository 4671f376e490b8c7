"""Detect tracing for XLA."""

import tensorflow as tf


def in_xla() -> bool:
    """Whether XLA will compile what is traced (`jit_compile=True`)."""
    return tf.__internal__.get_enclosing_xla_context() is not None
