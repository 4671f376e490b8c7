"""Splits histories into sessions where the user paused."""

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
    """Return the last sessions of each history, with their last steps.

    Args:
        history: ids `(batch, time)`, oldest first, then padding.
        times: of each step, in seconds.
        length: the number of valid steps, `(batch,)`.
        gap: a longer pause, in seconds, starts a new session.
        sessions: the maximum number of sessions of a history.
        steps: the maximum number of steps of a session.

    Returns:
        Ids `(batch, sessions, steps)`, oldest first, then zeros; and the number
        of sessions, `(batch,)`.
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
    # Positions and sessions relative to the first that is kept.
    dropped = np.maximum(np.take_along_axis(size, session, axis=1) - steps, 0)
    position = step - first - dropped
    session = session - np.maximum(count - sessions, 0)[:, None]

    kept = valid & (session >= 0) & (position >= 0)
    result = np.zeros((batch, sessions, steps), history.dtype)
    rows = np.broadcast_to(row, kept.shape)[kept]
    result[rows, session[kept], position[kept]] = history[kept]
    return result, np.minimum(count, sessions).astype("int32")
