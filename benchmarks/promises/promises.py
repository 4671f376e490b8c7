"""What a model of histories should promise, one function for each claim.

A claim is a function of a library's `make` that returns whether it holds, and a
line of evidence. An exception is evidence that it does not.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.promises.libraries import ITEMS, USERS

LIMIT = 1e-5
LENGTHS = np.array([5, 3, 2, 1])


class Promise(NamedTuple):
    text: str
    kinds: tuple[str, ...]
    holds: Callable[..., tuple[bool | None, str]]


PROMISES: list[Promise] = []


def promise(text: str, *kinds: str) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        PROMISES.append(Promise(text, kinds, function))
        return function

    return add


def draw(lengths: Any = LENGTHS, more: int = 0) -> dict[str, Any]:
    """Inputs, equal but for `more` padded steps."""
    rng = np.random.default_rng(0)
    steps = max(LENGTHS)
    shape = (len(LENGTHS), steps)
    history, negatives = rng.integers(1, ITEMS, (2, *shape))
    user = rng.integers(1, USERS, len(LENGTHS))
    item = rng.integers(1, ITEMS, len(LENGTHS))
    valid = np.arange(steps) < lengths[:, None]
    padding = ((0, 0), (0, more))
    return {
        "user": user,
        "item": item,
        "history": np.pad(history * valid, padding),
        "negatives": np.pad(negatives * valid, padding),
    }


def difference(x: Any, y: Any) -> tuple[bool, str]:
    largest = float(np.abs(x - y).max())
    return largest <= LIMIT, f"changes by up to {largest:.1g}"


@promise(
    "more padding changes no prediction",
    *("DIN", "DIN, padding_idx=None", "DIEN", "DIEN, padding before", "BST"),
)
def padding_is_inert(model: Any) -> tuple[bool, str]:
    return difference(model.predict(draw()), model.predict(draw(more=3)))


@promise("more padding changes no prediction in training", "DIN", "DIEN")
def padding_is_inert_in_training(model: Any) -> tuple[bool, str]:
    few, many = draw(), draw(more=3)
    return difference(model.predict(few, True), model.predict(many, True))


@promise("padding has no weight in a softmax", "DIN with a softmax")
def padding_has_no_weight(model: Any) -> tuple[bool, str]:
    return padding_is_inert(model)


def finite(model: Any, inputs: Any) -> tuple[bool, str]:
    found = np.isfinite(model.predict(inputs))
    gradients = np.isfinite(model.gradients(inputs))
    wrong = [
        f"{(~x).sum()} of {x.size} {name}"
        for name, x in (("predictions", found), ("gradients", gradients))
        if not x.all()
    ]
    return not wrong, f"not finite: {', '.join(wrong)}" if wrong else "finite"


@promise(
    "an empty history has finite predictions and gradients",
    *("DIN", "DIN with a softmax", "DIEN", "BST"),
)
def one_empty_history(model: Any) -> tuple[bool, str]:
    return finite(model, draw(np.array([5, 3, 0, 1])))


@promise(
    "a batch of empty histories has finite predictions and gradients",
    *("DIN", "DIN with a softmax", "DIEN", "BST"),
)
def only_empty_histories(model: Any) -> tuple[bool, str]:
    return finite(model, draw(np.zeros(4, int)))


@promise("a batch of one example predicts the same", "DIN", "DIEN", "BST")
def one_example(model: Any) -> tuple[bool, str]:
    one = {name: x[:1] for name, x in draw().items()}
    return difference(model.predict(draw())[:1], model.predict(one))


@promise("padding is not in the auxiliary loss", "DIEN")
def auxiliary_loss_without_padding(model: Any) -> tuple[bool | None, str]:
    first = model.auxiliary_loss(draw())
    if first is None:
        return None, "this version has no auxiliary loss"
    many = draw(more=3)
    # Whatever the negatives of padded steps are.
    many["negatives"][many["history"] == 0] = 7
    return difference(first, model.auxiliary_loss(many))


@promise("the auxiliary loss is the mean over pairs of valid steps", "DIEN")
def auxiliary_loss_is_a_mean(model: Any) -> tuple[bool | None, str]:
    inputs, pairs = draw(), LENGTHS - 1
    together = model.auxiliary_loss(inputs)
    if together is None:
        return None, "this version has no auxiliary loss"
    if together.size != 1:
        return False, f"its shape is {together.shape}"
    each = [
        model.auxiliary_loss({name: x[i : i + 1] for name, x in inputs.items()})
        for i in np.flatnonzero(pairs)
    ]
    weights = pairs[pairs > 0] / pairs.sum()
    mean = np.sum(weights * np.ravel(each))
    return difference(together.ravel()[0], mean)


def check(promise: Promise, model: Any) -> tuple[bool | None, str]:
    try:
        return promise.holds(model)
    except Exception as error:
        text = str(error).split("\n")[0]
        return False, f"raises {type(error).__name__}: {text[:90]}"
