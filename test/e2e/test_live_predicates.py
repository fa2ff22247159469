"""Random predicates: after each change, the rows that a live query has told of are those that SELECT finds with the same WHERE.

KALAM_DIFFERENTIAL_SEED: which predicates and changes (default 1; "random" draws one). A failure names the seed, which brings
them again.
KALAM_LIVE_WORLDS: how many sets of tables are tried, each with its predicates and changes (default 2; `make torture` 100).
"""

import collections
import os
import random

import pytest
from kalam_differential.live import LiveWorld, Watch
from kalam_differential.seed import SEED

WORLDS = int(os.environ.get("KALAM_LIVE_WORLDS", "2"))
PREDICATES = 12  # of each user on each table
CHANGES = 32


def run(world, changes):
    """What there was of everything."""
    try:
        for _ in range(8):
            world.change()
        world.watch_all(PREDICATES)
        world.compare(world.watches.values())
        for step in range(changes):
            world.step()
            if step % 9 == 8:
                world.flush()
            if step % 8 == 7:
                world.reconnect(changes=3)
            if step % 8 == 3:
                world.alter()
        world.compare(world.watches.values())
    finally:
        world.close()
    return sum((watch.counts for watch in world.watches.values()), world.counts)


def check_counts(total):
    """Agreement on nothing at all is cheap. `refused` were those that SELECT takes, `bad` those that it does not take either."""
    assert total["refused"] <= 0.01 * total["predicates"]
    assert total["bad"] <= 0.1 * total["predicates"]
    assert total["done"] >= 0.6 * total["changes"]
    assert total["some rows"] >= 0.4 * total["comparisons"]
    assert all(total[kind] >= total["changes"] / 4 for kind in ("insert", "update", "delete", "caught up")), total
    assert total["ended"] or WORLDS < 10


def test_predicates_agree(server):
    total = collections.Counter()
    for number in range(WORLDS):
        try:
            total += run(LiveWorld(server, random.Random(f"{SEED}/{number}"), number), CHANGES)
        except AssertionError as failure:
            raise AssertionError(f"KALAM_DIFFERENTIAL_SEED={SEED}, live world {number}: {failure}") from failure
        if (number + 1) % 20 == 0 or number + 1 == WORLDS:
            print(f"{number + 1} worlds from seed {SEED}: {dict(total)}", flush=True)
    check_counts(total)


class Ignored(Watch):
    """The WHERE does nothing."""

    def live_sql(self):
        return self.sql.split(" WHERE ")[0]


class NullIsTrue(Watch):
    def live_sql(self):
        shown, predicate = self.sql.split(" WHERE ", 1)
        return f"{shown} WHERE ({predicate}) IS NOT FALSE"


class LosesDeletes(Watch):
    """Rows that leave the filter stay."""

    def take(self, ws, message):
        if self.loads or message.get("change_type") != "delete":
            super().take(ws, message)


class LosesUpdates(Watch):
    def take(self, ws, message):
        if message.get("change_type") != "update":
            super().take(ws, message)


class ForgetsWhileAway(Watch):
    """What leaves while the socket is cut does not come."""

    def take(self, ws, message):
        if not (self.loads and message.get("change_type") == "delete"):
            super().take(ws, message)


class NotRefused(Watch):
    """What SELECT does not take is taken."""

    def __init__(self, name, user, table, columns, sql):
        super().__init__(name, user, table, columns, sql + " AND nothing > 1")

    def live_sql(self):
        return self.sql.removesuffix(" AND nothing > 1")


class BadlyRefused(Watch):
    def live_sql(self):
        return self.sql.replace(" FROM live", " FROM elsewhere")


WRONG = {
    Ignored: "SELECT None, live",
    NullIsTrue: "SELECT None, live",
    LosesDeletes: "SELECT None, live|row that is there",
    LosesUpdates: "SELECT .*, live|skips a version",
    ForgetsWhileAway: "SELECT None, live",
    NotRefused: "only SELECT refuses",
    BadlyRefused: "NOT_FOUND",
}


@pytest.mark.parametrize("watch", WRONG)
def test_a_wrong_live_query_is_found(server, watch):
    """Not every world leads to it."""
    with pytest.raises(AssertionError, match=WRONG[watch]):
        for number in range(1, 11):
            run(LiveWorld(server, random.Random(number), f"{watch.__name__.lower()}{number}", watch), CHANGES)


class Refused(Watch):
    def live_sql(self):
        return self.sql + " ORDER BY 1"


def test_refusals_are_counted(server):
    world = LiveWorld(server, random.Random(1), "refused", Refused)
    world.watch_all(1)
    world.close()
    assert world.counts["refused"] == world.counts["predicates"] == 6
