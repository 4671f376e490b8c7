"""The items of a log: their features and counts, and who has seen them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kseq.checks import Unquoted, raise_invalid
from kseq.data.columns import Array, look_up

ROUNDS = 50  # of redrawing, before the exact distribution is computed


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Items are numbered in the order of their ids.

    Args:
        item: the name of the items' column.
        columns: the ids of all items, and their features, by column.
        counts: of each item's positive events.
        drawable: which items may be negatives.
        event_items: the item's number of each event.
        event_users: the user's number of each event.
        users: the users' numbers.
    """

    item: str
    columns: dict[str, Array]
    counts: Array
    drawable: Array
    event_items: Array
    event_users: Array
    users: dict[Any, int]

    def __len__(self) -> int:
        return len(self.counts)

    def user_numbers(self, users: Array) -> Array:
        return look_up(users, self.users)

    def item_numbers(self, ids: Array) -> Array:
        return np.searchsorted(self.columns[self.item], ids)

    def draw(
        self,
        positives: Array,
        users: Array,
        popularity: float,
        exclude_seen: bool,
        rng: np.random.Generator,
    ) -> Array:
        """Return an item other than the positive one for each of them.

        Args:
            positives: the numbers of items.
            users: the number of each one's user.
            popularity: an item's weight is its count to the power of this.
            exclude_seen: whether to draw no item that the user has an event
                with.
            rng: the source of randomness.
        """
        weights = self.counts**popularity * self.drawable
        cumulative = weights.cumsum()
        total = np.nextafter(cumulative[-1:], 0)  # below the last sum
        uniform = not popularity and self.drawable.all()

        def draw(positives: Array) -> Array:
            if uniform:
                shift = rng.integers(1, len(self), len(positives))
                return (positives + shift) % len(self)
            random = rng.random(len(positives)) * total
            return cumulative.searchsorted(random, side="right")

        if len(positives) and np.count_nonzero(weights) < 2:
            self._raise_no_negative("one item only")
        drawn = draw(positives)
        wrong = np.arange(len(positives))
        for _ in range(ROUNDS):
            rejected = drawn[wrong] == positives[wrong]
            if exclude_seen:
                rejected |= self._seen(users[wrong], drawn[wrong])
            wrong = wrong[rejected]
            if not len(wrong):
                return drawn
            drawn[wrong] = draw(positives[wrong])
        for row in wrong:
            allowed = weights.copy()
            allowed[positives[row]] = 0
            if exclude_seen:
                allowed[self._items_of(users[row])] = 0
            if not allowed.any():
                user = [*self.users][users[row]]
                self._raise_no_negative(f"user {user!r} with all items")
            drawn[row] = rng.choice(len(self), p=allowed / allowed.sum())
        return drawn

    @cached_property
    def _pairs(self) -> Array:
        return np.unique(self.event_users * len(self) + self.event_items)

    def _seen(self, users: Array, items: Array) -> Array:
        pair = users * len(self) + items
        found = np.searchsorted(self._pairs, pair)
        return self._pairs[np.minimum(found, len(self._pairs) - 1)] == pair

    def _items_of(self, user: Any) -> Array:
        first = user * len(self)
        start, end = np.searchsorted(self._pairs, [first, first + len(self)])
        return self._pairs[start:end] - first

    def _raise_no_negative(self, received: str) -> None:
        raise_invalid(
            "events",
            "another item to draw for each positive item",
            Unquoted(received),
        )
