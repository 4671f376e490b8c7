"""Type aliases, which import no backend."""

from collections.abc import Callable
from typing import Any, TypeAlias

# The backends' tensors have no common base class, and naming one would import
# its backend: so a tensor is Any.
Tensor: TypeAlias = Any
Tensors: TypeAlias = tuple[Tensor, ...]

# A size is None where it is unknown.
Shape: TypeAlias = tuple[int | None, ...]

# A name, a function, a Keras layer, its class, or its saved config.
ActivationLike: TypeAlias = str | Callable[..., Any] | dict[str, Any]
# An object of Keras, its name, or its saved config.
InitializerLike: TypeAlias = str | Callable[..., Any] | dict[str, Any]
RegularizerLike: TypeAlias = str | Callable[..., Any] | dict[str, Any]
