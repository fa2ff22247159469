"""Random statements on random tables: KalamDB must answer as DuckDB does on plain tables with the same rows.

KALAM_DIFFERENTIAL_SEED: which statements (default 1; "random" draws one). A failure names the seed, which brings it again.
KALAM_DIFFERENTIAL_WORLDS: how many sets of tables are tried, each with its changes and queries (default 4).
"""

import os
import random

import pytest
from kalam_differential import compare
from kalam_differential.seed import SEED
from kalam_differential.world import World

WORLDS = int(os.environ.get("KALAM_DIFFERENTIAL_WORLDS", "4"))
CHANGES = 60
QUERIES = 90


@pytest.mark.parametrize("number", range(WORLDS))
def test_world(server, number):
    """Changes and queries take turns, so that queries meet hot rows, segments and deleted positions in every mixture."""
    world = World(server, random.Random(f"{SEED}/{number}"), f"{number}")
    try:
        for step in range(CHANGES):
            world.change()
            if step % 9 == 8:
                world.flush()
            if step % 7 == 6:
                world.alter()
        for step in range(QUERIES):
            world.compare_random_query()
            if step % 6 == 5:
                world.change()
            if step % 9 == 8:
                world.transaction()
            if step % 30 == 29:
                world.flush()
    except AssertionError as failure:
        raise AssertionError(f"KALAM_DIFFERENTIAL_SEED={SEED}, world {number}: {failure}") from None
    finally:
        world.close()
    print(f"{world.statements} statements, {world.succeeded} succeeded, {world.with_rows} of them with rows")
    # Agreement on errors and on nothing at all is cheap.
    assert world.succeeded >= 0.75 * world.statements
    assert world.with_rows >= 0.35 * world.succeeded
    assert world.statements >= CHANGES + QUERIES


def test_comparison_notices():
    """What is compared with what: a difference in a cell, in a count, in an order that is asked for, in a type."""
    kinds = ["Int", "Text"]
    rows = [[1, "a"], [2, None]]
    assert compare.same_rows(kinds, rows, [[2, None], [1, "a"]], ordered=False)
    assert not compare.same_rows(kinds, rows, [[2, None], [1, "a"]], ordered=True)
    assert not compare.same_rows(kinds, rows, [[1, "a"], [2, ""]], ordered=True)
    assert not compare.same_rows(kinds, rows, rows[:1], ordered=False)
    assert compare.same_rows(["Double"], [[0.1 + 0.2]], [[0.3]], ordered=False)
    assert not compare.same_rows(["Double"], [[0.3]], [[0.3001]], ordered=False)
    assert compare.same_type("HUGEINT", "BigInt") and not compare.same_type("INTEGER", "BigInt")
    assert compare.from_plain("2024-02-29 12:00:00.5", "TIMESTAMP", "Timestamp") == 1709208000500000
    assert compare.days("0001-01-01") == -719162 and compare.days("0001-12-31 (BC)") == -719163
