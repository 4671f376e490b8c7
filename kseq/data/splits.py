import numpy as np

from kseq.checks import check_number, raise_invalid
from kseq.data.samples import Samples


def split_time(samples: Samples, *fractions: float) -> tuple[Samples, ...]:
    """Split samples by time, so that later parts are the future.

    All samples of the same time are in the same part. This is how a deployed
    model is used: it is trained on the past of all users. To split at a time of
    your choice, select `samples[samples.time < time]`.

    Args:
        samples: samples in any order.
        fractions: of the samples before each split, ascending: 0.8 for two
            parts, 0.8 and 0.9 for three.

    Returns:
        A tuple of `Samples`, each in its previous order.

    Raises:
        ValueError: a fraction is not between 0 and 1, or a part is empty.

    Example:

    >>> from kseq.data import sequence_samples, split_time
    >>> log = {"user": [1, 2, 1, 2], "item": [5, 6, 7, 8], "time": [1, 2, 3, 3]}
    >>> train, test = split_time(sequence_samples(log, steps=2), 0.75)
    >>> len(train), len(test)  # the events of time 3 are together
    (2, 2)
    """
    times = np.sort(samples.time)
    positions = [
        int(
            len(times) * check_number("fractions", f, 0, 1, "numbers in [0, 1)")
        )
        for f in fractions
    ]
    moments = times[positions] if len(times) else times
    part = np.searchsorted(moments, samples.time, side="right")
    parts = tuple(samples[part == i] for i in range(len(fractions) + 1))
    if sorted(fractions) != [*fractions] or not all(map(len, parts)):
        raise_invalid(
            "fractions",
            "ascending numbers that leave samples in each part",
            fractions,
        )
    return parts


def split_last(samples: Samples) -> tuple[Samples, Samples, Samples]:
    """Split off each user's last two samples, for validation and the test.

    Users with fewer than three samples are in the training part only. Other
    users' later events are in it too: for a test that is the future of all
    training samples, use `split_time`.

    Args:
        samples: samples in any order; of equal times, the later row is last.

    Returns:
        `Samples` for training, validation and test, each in its previous order.

    Example:

    >>> from kseq.data import sequence_samples, split_last
    >>> log = {"user": [1, 1, 1, 2], "item": [5, 6, 7, 8], "time": [1, 2, 3, 4]}
    >>> train, valid, test = split_last(sequence_samples(log, steps=2))
    >>> [part.inputs["item"].tolist() for part in (train, valid, test)]
    [[5, 8], [6], [7]]
    """
    users = samples.catalogue.user_numbers(samples.user)
    order = np.lexsort((samples.time, users))
    users = users[order]
    ends = np.append(np.flatnonzero(np.diff(users)) + 1, len(users))
    sizes = np.diff(ends, prepend=0)
    last = ends[sizes >= 3] - 1
    part = np.zeros(len(samples), int)
    part[order[last - 1]] = 1
    part[order[last]] = 2
    train, valid, test = (samples[part == i] for i in range(3))
    return train, valid, test
