"""Names for what passes through kseq, without importing any backend."""

from collections.abc import Callable
from typing import Any, TypeAlias

# Keras has no common base class for its backends' tensors, and importing one
# to name it here would bring that backend in: so a tensor is Any.
Tensor: TypeAlias = Any
Tensors: TypeAlias = tuple[Tensor, ...]

# A dimension is None where it is not known before the data are seen.
Shape: TypeAlias = tuple[int | None, ...]

Activation: TypeAlias = Callable[[Tensor], Tensor]
