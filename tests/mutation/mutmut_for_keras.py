"""mutmut, whose stand-ins of constructors show Keras the arguments of these.

Keras reads the names of a constructor's arguments from the function itself,
where mutmut puts one of `*args, **kwargs`. Of other functions it follows
`__wrapped__`, and would find self among the arguments of what has a signature.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from mutmut.mutation import trampoline

Decorator = Callable[[Callable[..., Any]], Any]


def with_signature(wrap: Callable[..., Decorator]) -> Callable[..., Decorator]:
    @functools.wraps(wrap)
    def wrap_and_sign(*args: Any, **kwargs: Any) -> Decorator:
        decorate = wrap(*args, **kwargs)

        def decorated(function: Callable[..., Any]) -> Any:
            made = decorate(function)
            if function.__name__ == "__init__":
                made.__signature__ = inspect.signature(function)
            return made

        return decorated

    return wrap_and_sign


if __name__ == "__main__":
    trampoline.wrap_in_trampoline = with_signature(
        trampoline.wrap_in_trampoline
    )
    from mutmut.__main__ import cli

    cli()
