from dataclasses import dataclass
from typing import Any

import numpy as np

from kseq.checks import (
    Unquoted,
    check_bool,
    check_int_below,
    check_nonnegative,
    check_positive_int,
    raise_invalid,
)
from kseq.data.catalogue import Catalogue
from kseq.data.columns import Array
from kseq.data.samples import Samples


@dataclass(frozen=True)
class NegativeSampling:
    """How to draw negative items, which the user did not choose.

    They are drawn from the items of the log, and are never the positive item
    itself, nor the id of unknown values.

    Args:
        popularity: an item's probability is proportional to the number of its
            positive events to the power of this: 0 for equal probabilities, 1
            for popular items as often as in the log.
        exclude_seen: whether to exclude all items that the user has an event
            with, at any time.
        seed: an integer; None for other negatives each time.

    Returns:
        An argument of `sequence_samples` and `add_negatives`.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> from kseq.data import NegativeSampling, sequence_samples
    >>> log = {"user": [1, 1, 1], "item": [5, 6, 5], "time": [10, 20, 30]}
    >>> samples = sequence_samples(
    ...     log, steps=2, negatives=NegativeSampling(seed=0)
    ... )
    >>> samples.inputs["hist_item"][2], samples.inputs["neg_hist_item"][2]
    (array([5, 6], dtype=int32), array([6, 5], dtype=int32))
    """

    popularity: float = 0.0
    exclude_seen: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        check_nonnegative("popularity", self.popularity)
        check_bool("exclude_seen", self.exclude_seen)
        if self.seed is not None:
            check_int_below("seed", self.seed, 1 << 31)


def draw_negatives(
    sampling: NegativeSampling,
    catalogue: Catalogue,
    positives: Array,
    users: Array,
) -> Array:
    """Return the number of another item for each number in `positives`."""
    return catalogue.draw(
        positives,
        users,
        sampling.popularity,
        sampling.exclude_seen,
        np.random.default_rng(sampling.seed),
    )


def add_negatives(
    samples: Samples,
    count: int,
    sampling: NegativeSampling | None = None,
    *,
    lists: bool = False,
) -> Samples:
    """Return samples with `count` negative items for each positive one.

    A log without impressions has positive events only. The negatives are rows
    of their own, which differ from the positive row in the item, its features
    and the label 0; or, with `lists`, more candidates in the same row.

    Args:
        samples: samples with the label 1 only. For a log with impressions,
            pass those with `samples.label > 0`.
        count: the number of negatives of each row. They may repeat.
        sampling: how to draw them; None for `NegativeSampling()`.
        lists: False for rows, each followed by its negatives. True for lists of
            candidates, the positive one first: item, features and labels are
            `(rows, 1 + count)`.

    Returns:
        New `Samples`.

    Raises:
        ValueError: a label is not 1, `count` is not positive, or there is no
            item to draw.

    Example:

    >>> from kseq.data import NegativeSampling, add_negatives, sequence_samples
    >>> log = {"user": [1, 1, 2], "item": [5, 6, 7], "time": [10, 20, 30]}
    >>> samples = sequence_samples(log, steps=2)
    >>> unseen = NegativeSampling(exclude_seen=True, seed=0)
    >>> rows = add_negatives(samples[:2], 1, unseen)
    >>> rows.inputs["item"], rows.label
    (array([5, 7, 6, 7], dtype=int32), array([1., 0., 1., 0.], dtype=float32))
    >>> lists = add_negatives(samples[:2], 1, unseen, lists=True)
    >>> lists.inputs["item"]
    array([[5, 7],
           [6, 7]], dtype=int32)
    """
    count = check_positive_int("count", count)
    check_bool("lists", lists)
    sampling = sampling or NegativeSampling()
    if samples.label.ndim != 1 or not (samples.label == 1).all():
        raise_invalid(
            "samples",
            "labels of 1, one for each row",
            Unquoted(f"labels {samples.label}"),
        )
    catalogue = samples.catalogue
    positives = catalogue.item_numbers(samples.inputs[catalogue.item])
    users = catalogue.user_numbers(samples.user)
    drawn = draw_negatives(
        sampling,
        catalogue,
        np.repeat(positives, count),
        np.repeat(users, count),
    ).reshape(-1, count)

    def append(positive: Any, negatives: Array) -> Array:
        candidates = np.concatenate([positive[:, None], negatives], axis=1)
        return candidates if lists else candidates.ravel()

    rows = samples
    if not lists:
        rows = samples[np.repeat(np.arange(len(samples)), 1 + count)]
    candidates = {
        name: append(samples.inputs[name], values[drawn])
        for name, values in catalogue.columns.items()
    }
    return Samples(
        rows.inputs | candidates,
        append(samples.label, np.zeros(drawn.shape, "float32")),
        rows.user,
        rows.time,
        catalogue,
    )
