"""kill -9 under load: no acknowledged change is missing, no unacknowledged one half there, nothing from nowhere.

KALAM_TORTURE_KILLS: how often the server is killed under mixed load (default 6; `make torture` 500).
KALAM_TORTURE_SEED: what is written and when the server is killed (default 1; "random" draws one). A failure names the seed,
which brings the same statements again, and moments as like as threads allow.
"""

import os
import pathlib
import random
import shutil
import tempfile

from kalam_testlib import Server
from kalam_testlib.s3 import S3Service
from kalam_torture.journal import Journal
from kalam_torture.world import World

KILLS = int(os.environ.get("KALAM_TORTURE_KILLS", "6"))
FILES_EVERY = 20


def chosen_seed():
    seed = os.environ.get("KALAM_TORTURE_SEED", "1")
    return random.SystemRandom().randrange(1 << 31) if seed == "random" else int(seed)


def test_kill_under_load():
    seed = chosen_seed()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kalamdb-torture-"))
    try:
        with S3Service() as s3, World(directory, s3, seed) as world:
            for number in range(1, KILLS + 1):
                world.kill_under_load(number)
                world.check()
                if number % FILES_EVERY == 0 or number == KILLS:
                    world.check_files()
                    world.check()
                    print(
                        f"{number} kills, {world.acknowledged} operations acknowledged, {world.refused} refused; {world.jobs()}",
                        flush=True,
                    )
            assert world.acknowledged > KILLS
            world.server.restart()
            world.check()
    except BaseException as failure:
        raise AssertionError(f"KALAM_TORTURE_SEED={seed}, the data is in {directory}: {failure}") from failure
    shutil.rmtree(directory)


def test_the_journal_tells_what_may_be_there():
    journal = Journal()
    one, two = ("row", "t", 1), ("row", "t", 2)
    journal.begin("INSERT 1", {one: "a"})
    journal.end(True, "acknowledged")
    assert "not 'a'" in journal.settle({}), "the acknowledged is lost"
    assert "row', 't', 2" in journal.settle({one: "a", two: "x"}), "a row that nobody wrote"
    journal.begin("UPDATE 1, INSERT 2", {one: "b", two: "b"})
    assert journal.settle({one: "b"}) and journal.settle({one: "a", two: "b"}), "half of an operation"
    assert not journal.settle({one: "b", two: "b"})
    assert journal.settle({one: "a"}), "found once, it stays"
    journal.begin("DELETE 1", {two: "b"})
    journal.end(False, "refused")
    assert not journal.settle({one: "b", two: "b"})


def test_definitions_survive_a_kill():
    with Server() as server:
        root = server.root()
        for number in range(5):
            root.run(
                f"CREATE NAMESPACE n{number}; CREATE USER TABLE n{number}.t (id INT PRIMARY KEY, v TEXT DEFAULT 'd{number}')"
            )
            server.create_user(f"user{number}")
            if number % 2:
                root.run(f"DROP NAMESPACE n{number - 1}")
            server.crash()
            names = [row[0] for row in root.rows("SELECT name FROM system.namespaces")]
            alive = {f"n{n}" for n in range(number + 1) if n % 2 or (n == number)}
            assert {name for name in names if name.startswith("n")} == alive
            assert server.user(f"user{number}").value("SELECT CURRENT_USER()") == f"user{number}"
            root.run(f"INSERT INTO n{number}.t (id) VALUES (1)")
            assert root.rows(f"SELECT v FROM n{number}.t") == [[f"d{number}"]]


def test_seq_goes_on_rising_after_a_kill():
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE s; CREATE SHARED TABLE s.t (id INT PRIMARY KEY)")
        for number in range(4):
            root.run(f"INSERT INTO s.t VALUES ({2 * number})")
            server.crash()
            root.run(f"INSERT INTO s.t VALUES ({2 * number + 1})")
        assert [row[0] for row in root.rows("SELECT id FROM s.t ORDER BY _seq")] == list(range(8))


def test_kill_while_starting():
    """A server that is killed before it is ready leaves nothing that stops the next one."""
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE s; CREATE SHARED TABLE s.t (id INT PRIMARY KEY); INSERT INTO s.t VALUES (1)")
        chance = random.Random(5)
        for _ in range(4):
            server.kill()
            server.start_and_kill(chance.random() * 0.1)
            server.start()
            assert root.rows("SELECT id FROM s.t") == [[1]]
