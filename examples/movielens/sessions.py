"""Histories cut into sessions where the user paused."""

import numpy as np


def split_sessions(
    history: np.ndarray,
    times: np.ndarray,
    length: np.ndarray,
    *,
    gap: int,
    sessions: int,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The last sessions of each history, and the last steps of each of them.

    Args:
        history: ids `(batch, time)`, oldest first, then padding.
        times: of each step, in seconds.
        length: how many steps count, `(batch,)`.
        gap: a session ends where the next step is more seconds away.
        sessions: how many are kept of a history.
        steps: how many are kept of a session.

    Returns:
        Ids `(batch, sessions, steps)`, oldest first, then zeros; and how many
        sessions there are, `(batch,)`.
    """
    batch, time = history.shape
    row = np.arange(batch)[:, None]
    step = np.arange(time)
    valid = step < length[:, None]
    starts = valid & (np.diff(times, axis=1, prepend=times[:, :1]) > gap)
    starts[:, 0] = valid[:, 0]
    session = np.maximum(np.cumsum(starts, axis=1) - 1, 0)
    count = starts.sum(axis=1)

    size = np.zeros_like(session)
    np.add.at(size, (np.broadcast_to(row, valid.shape), session), valid)
    first = np.maximum.accumulate(np.where(starts, step, 0), axis=1)
    # From here on, counted from the first that is kept.
    dropped = np.maximum(np.take_along_axis(size, session, axis=1) - steps, 0)
    position = step - first - dropped
    session = session - np.maximum(count - sessions, 0)[:, None]

    kept = valid & (session >= 0) & (position >= 0)
    found = np.zeros((batch, sessions, steps), history.dtype)
    rows = np.broadcast_to(row, kept.shape)[kept]
    found[rows, session[kept], position[kept]] = history[kept]
    return found, np.minimum(count, sessions).astype("int32")
