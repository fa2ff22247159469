"""Live queries beside writers, some of which contend for keys, kills, cut and stalled sockets, flush, compaction, vacuum, ALTER, DROP
TABLE and KILL LIVE QUERY: what each subscriber received is recorded, and the history proved ordered, unique, atomic, complete,
resumable, true, and ended where it must be.

KALAM_HISTORY_RUNS: how many runs, each with a server of its own (default 4; `make torture` 200).
KALAM_HISTORY_SEED: that of the first run; each other has the next one (default 1; "random" draws one). A failure names
the seed, which brings the same statements again, and moments as like as threads allow, and the file of its history.
"""

import os
import pathlib
import random
import tempfile

import pytest
from kalam_live.checker import check
from kalam_live.history import Commit, History, Session, Subscription, short
from kalam_live.planted import PLANTED, REPEATS, thin_copy
from kalam_live.run import count, run

RUNS = int(os.environ.get("KALAM_HISTORY_RUNS", "4"))


def first_seed():
    seed = os.environ.get("KALAM_HISTORY_SEED", "1")
    return random.SystemRandom().randrange(1 << 31) if seed == "random" else int(seed)


def run_and_check(seed, **options):
    try:
        history = run(seed, **options)
        problems = check(history)
        if problems:
            path = pathlib.Path(tempfile.mkdtemp(prefix="kalamdb-history-")) / f"{seed}.json"
            history.save(path)
            raise AssertionError("\n".join([f"{len(problems)} problems, the history is {path}", *problems]))
    except BaseException as failure:
        raise AssertionError(f"KALAM_HISTORY_SEED={seed} KALAM_HISTORY_RUNS=1: {short(failure)}") from failure
    return history


def test_histories():
    seed, total = first_seed(), count(History(0))
    for number in range(RUNS):
        total += count(run_and_check(seed + number))
        if (number + 1) % 20 == 0 or number + 1 == RUNS:
            print(f"{number + 1} histories from seed {seed}: {dict(total)}", flush=True)
    kinds = ("transactions", "of other writers", "resumes", "last_rows", "of STREAM tables", "KILLED", "TABLE_DROPPED")
    assert all(total[kind] for kind in ("insert", "update", "delete", *kinds)), total


@pytest.fixture(scope="module")
def histories():
    """Without a kill, so that what is written is nearly the same each time; one, and more where a bug finds no place in it."""
    return [run_and_check(7, rounds=1, steps=60)]


def tries(histories, plant, chance):
    """Histories with the bug: several places in each of some runs, as far as there are any."""
    for number in range(6):
        if number == len(histories):
            histories.append(run_and_check(7 + number, rounds=1, steps=60))
        for _ in range(REPEATS):
            wrong = thin_copy(histories[number])
            if not plant(wrong, chance):
                break
            yield wrong


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(histories, name):
    """At one of several places: at some it does no harm, as a change that is lost where the socket is cut next."""
    plant, properties = PLANTED[name]
    for wrong in tries(histories, plant, random.Random(name)):
        found = {problem.split(":")[0] for problem in check(wrong)}
        if found & set(properties.split()):
            return
    raise AssertionError("it is found nowhere")


def test_nothing_is_found_where_nothing_was_planted(histories):
    """And what was changed were copies."""
    assert not any(map(check, histories))


def lagging_history(behind):
    """Of a client that falls behind rows 1 and 2: they are updated and deleted, row 3 comes, and `behind` is told."""
    rows = [{"id": id, "_seq": str(id), "g": 0, "v": f"v{id}"} for id in (1, 2)]
    ack = {"type": "subscription_ack"}
    batch = {"type": "initial_data_batch", "rows": rows, "batch_control": {"has_more": False}}
    last = {"type": "change", "change_type": "insert", "rows": [{"id": 4, "_seq": "14", "g": 0, "v": "v4"}]}
    lagged = {"type": "error", "code": "LAGGED"}
    one = Subscription("s", "ann", "t", "*", None, [Session(None, [ack, batch, lagged, *behind, last])])
    one.final = [{"id": id, "_seq": str(10 + id), "v": v} for id, v in ((1, "w1"), (3, "v3"), (4, "v4"))]
    history = History(0, {"t": "SHARED"}, subscriptions=[one])
    for id, g, v in ((1, 0, "v1"), (2, 0, "v2"), (1, 0, "w1"), (2, None, None), (3, 0, "v3"), (4, 0, "v4")):
        history.commits.append(Commit("w", "ann", "", [["t", id, g, v]], "done"))
    return history


def test_catching_up_is_checked():
    def update(id, seq, v):
        return {"type": "change", "change_type": "update", "rows": [{"id": id, "_seq": str(seq), "g": 0, "v": v}]}

    def found(*behind):
        return {problem.split(":")[0] for problem in check(lagging_history(behind))}

    one, three = update(1, 11, "w1"), update(3, 13, "v3")
    delete = {"type": "change", "change_type": "delete", "old_values": [{"id": 2, "_seq": "12", "g": 0, "v": "v2"}]}
    assert not found(one, delete, three)
    assert found(one, three) == {"complete"}, "a delete is lost"
    assert "complete" in found(delete, three) and "complete" in found(one, delete), "a row is lost"
    assert found(one, three, delete) == {"ordered"}
    assert found(one, one, delete, three) == {"unique"}
    assert found(update(1, 1, "v1"), one, delete, three) == {"unique"}, "from before what was delivered"
    assert "true" in found(update(1, 11, "w2"), delete, three)
