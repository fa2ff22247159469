"""kill -9 under load: no acknowledged change is missing, no unacknowledged one half there, nothing from nowhere; and a backup
that is complete holds what was acknowledged at its moment, of which a restore shows all or nothing.

KALAM_TORTURE_KILLS: how often the server is killed under mixed load (default 6; `make torture` 500).
KALAM_TORTURE_SEED: what is written and when the server is killed (default 1; "random" draws one). A failure names the seed,
which brings the same statements again, and moments as like as threads allow.
"""

import os
import pathlib
import random
import shutil
import tempfile

import pytest
from kalam_testlib import Server, wait_until
from kalam_testlib.s3 import S3Service
from kalam_torture.journal import Journal
from kalam_torture.load import Writer
from kalam_torture.world import World

KILLS = int(os.environ.get("KALAM_TORTURE_KILLS", "6"))
FILES_EVERY = 20


def chosen_seed():
    seed = os.environ.get("KALAM_TORTURE_SEED", "1")
    return random.SystemRandom().randrange(1 << 31) if seed == "random" else int(seed)


def test_kill_under_load():
    seed = chosen_seed()
    print(f"KALAM_TORTURE_SEED={seed}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="kalamdb-torture-"))
    try:
        with S3Service() as s3, World(directory, s3, seed) as world:
            for number in range(1, KILLS + 1):
                world.kill_under_load(number)
                world.check()
                counts_files = number % FILES_EVERY == 0 or number == KILLS
                world.check_copies(is_last=counts_files)
                if counts_files:
                    world.check_files()
                    world.check()
                    print(
                        f"{number} kills, {world.acknowledged} operations acknowledged, {world.refused} refused; "
                        f"{world.copies.made} backups, {world.copies.restored} restored, "
                        f"{dict(world.copies.interrupted)} interrupted, "
                        f"{len(world.copies.failures)} met faults; {world.jobs()}",
                        flush=True,
                    )
            assert world.acknowledged > KILLS and world.copies.restored >= KILLS // 5
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


def test_the_journal_tells_what_a_backup_may_hold():
    journal = Journal()
    key = ("row", "t", 1)

    def do(value, done=True):
        journal.begin(f"UPDATE 1 {value}", {key: value})
        journal.end(done, "")

    def holds(value):
        return not journal.compare(states, {key: value})

    do("before")
    do("a")
    journal.begin("UPDATE 1 b", {key: "b"})
    states = journal.record()
    assert holds("a") and holds("b") and not holds("before")
    journal.end(True, "")
    do("c")
    do("refused", done=False)
    journal.begin("UPDATE 1 lost", {key: "lost"})
    assert holds("lost")
    assert not journal.settle({key: "c"}), "the server was killed meanwhile"
    assert holds("c") and not holds("lost") and not holds("refused")
    journal.stop(states)
    do("later")
    assert not holds("later")
    assert not journal.settle({key: "later"})


def test_a_wrong_copy_is_found(tmp_path):
    """What a backup or a restore might do wrong, done by hand between the restore and its comparison."""
    wrong = {
        "UPDATE R.shared_local SET v = 'x' WHERE id = 0": "writer 0: 1 differ",
        "DELETE FROM R.shared_disk WHERE id = 1": "writer 0: 1 differ",
        "INSERT INTO R.shared_bucket (id, v, n) VALUES (3999, 'x', 3999)": "writer 3: 1 differ",
        "ALTER TABLE R.shared_local ADD COLUMN e1 INT DEFAULT 3": "writer 1: 1 differ",
        "ALTER TABLE R.own0_1 RENAME TO own0_2": "writer 0: 1 differ",
        "DROP TABLE R.shared_disk": "half a restore is visible: 5 of 6 tables",
        "DELETE FROM R.shared_local WHERE id = 2; INSERT INTO R.shared_local (id, v, n) VALUES (2, 'v', 2)": "rows from behind",
    }
    with S3Service() as s3, World(tmp_path, s3, 1) as world:
        copies, root = world.copies, world.server.root()
        writer = Writer(world.users[0], 0, world.journals[0], 1)
        rows = {("row", table, id): "v" for table in ("k.shared_local", "k.shared_disk", "k.user_disk") for id in (0, 1, 2)}
        for table in ("shared_local", "shared_disk", "user_disk"):
            after = {cell: v for cell, v in rows.items() if cell in writer.journal.cells or cell[1] == f"k.{table}"}
            writer.send(f"INSERT INTO k.{table} (id, v, n) VALUES (0, 'v', 0), (1, 'v', 1), (2, 'v', 2)", after)
        writer.send("CREATE SHARED TABLE k.own0_1 (id INT)", {**rows, ("table",): ("k.own0_1", "local")})
        copies.begin()
        wait_until(lambda: copies.backup(root) or copies.copy.phase == "restore", "the backup")
        for number, (plant, message) in enumerate(wrong.items()):
            copies.copy.target, copies.copy.phase = f"x{number}", "restore"
            wait_until(lambda: copies.restore(root) or copies.copy.phase == "compare", "the restore")
            copies.check(root)
            root.run(plant.replace("R.", f"{copies.copy.target}."))
            with pytest.raises(AssertionError, match=message):
                copies.check(root)
        copies.copy.target = "x0"
        del rows["row", "k.user_disk", 1]
        copies.copy.target, copies.copy.phase = "later", "restore"
        copies.copy.recordings[0] = [{**rows, ("table",): ("k.own0_1", "local")}]
        wait_until(lambda: copies.restore(root) or copies.copy.phase == "compare", "the restore")
        with pytest.raises(AssertionError, match="writer 0: 1 differ"):
            copies.check(root)


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
