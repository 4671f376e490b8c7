"""Generated clicks: users click on items of the kinds in their history."""

from collections.abc import Iterator

import numpy as np

ITEMS = 200  # and 0, which is padding
KINDS = 8
STEPS = 12

Batch = tuple[dict[str, np.ndarray], np.ndarray]


def make_clicks(samples: int, seed: int) -> Batch:
    """Return histories `(samples, steps)`, a candidate each, and clicks."""
    rng = np.random.default_rng(seed)
    history = rng.integers(1, ITEMS + 1, (samples, STEPS))
    length = rng.integers(0, STEPS + 1, (samples, 1))
    history[np.arange(STEPS) >= length] = 0
    item = rng.integers(1, ITEMS + 1, (samples, 1))
    same_kind = (history > 0) & (history % KINDS == item % KINDS)
    click = same_kind.any(axis=1, keepdims=True)
    # A tenth of the clicks is noise.
    click ^= rng.random(click.shape) < 0.1
    x = {"item": item.astype("int32"), "history": history.astype("int32")}
    return x, click.astype("float32")


def batches(clicks: Batch, size: int) -> Iterator[Batch]:
    x, y = clicks
    for start in range(0, len(y), size):
        rows = slice(start, start + size)
        yield {name: values[rows] for name, values in x.items()}, y[rows]
