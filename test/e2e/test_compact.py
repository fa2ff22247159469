"""Compaction: the same rows in fewer files, beside readers, writers, transactions and subscriptions, and under kill -9."""

import random
import threading

import pytest
from kalam_testlib import Server, ServerConfig, wait_until
from kalam_testlib.ws_client import replica_of

LIVE_JOBS = "WHERE status IN ('new', 'queued', 'running', 'retrying')"


@pytest.fixture(scope="module")
def server():
    """One whose files are what statements make of them."""
    with Server(ServerConfig(compaction={"max_small_segments": 0})) as running:
        yield running


def segments(server, *path):
    return sorted(path.name for path in server.data_path.joinpath("storage", *path).glob("batch-*.parquet"))


def fill(root, table, count, rows):
    """Segments whose keys lie between each other's, with every type of value that may matter."""
    for number in range(count):
        root.run(
            f"INSERT INTO {table} SELECT i * {count} + {number}, 'v' || i, i / 8.0, i % 2 = 0"
            f" FROM GENERATE_SERIES(0, {rows - 1}) AS s(i)"
        )
        root.flush(table)


def test_it_begins_by_itself():
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE c; CREATE SHARED TABLE c.t (id BIGINT PRIMARY KEY, v TEXT, d DECIMAL(12, 3), b BOOLEAN)")
        completed = "WHERE job_type = 'compact' AND status = 'completed'"
        fill(root, "c.t", 8, 100)
        assert root.count("system.jobs", completed) == 0
        root.run("INSERT INTO c.t SELECT i, 'v', 1, true FROM GENERATE_SERIES(1000, 100999) AS s(i)")
        root.flush("c.t")  # which is large enough to stay
        assert root.count("system.jobs", completed) == 0
        root.run("UPDATE c.t SET v = 'changed' WHERE id < 21000")
        root.flush("c.t")
        wait_until(lambda: root.count("system.jobs", completed) == 1, "a compaction")
        wait_until(lambda: len(segments(server, "c", "t")) < 9, "fewer files")


def test_fewer_files_with_the_same_rows(server, root, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id BIGINT PRIMARY KEY, v TEXT, d DECIMAL(12, 3), b BOOLEAN)")
    fill(root, table, 8, 3000)
    root.run(f"UPDATE {table} SET v = 'changed' WHERE id % 3 = 0; DELETE FROM {table} WHERE id % 11 = 0")
    root.flush(table)
    queries = [
        f"SELECT * FROM {table} ORDER BY id",
        f"SELECT id, _seq FROM {table} ORDER BY id",
        f"SELECT COUNT(*) FROM {table} WHERE _deleted = true",
    ]
    before = [root.rows(sql) for sql in queries]
    assert len(segments(server, ns, "t")) == 9
    done = root.job(f"STORAGE COMPACT TABLE {table}")
    assert done["message"] == f"Compaction completed for {ns}:t"
    assert (done["files_before"], done["files_after"]) == (9, 1) and done["bytes_saved"] > 0
    wait_until(lambda: segments(server, ns, "t") == ["batch-9.parquet"], "the old files' end")
    assert [root.rows(sql) for sql in queries] == before
    assert root.rows(f"SELECT v FROM {table} WHERE id = 4") == [["v0"]]
    assert root.affected(f"UPDATE {table} SET v = 'again' WHERE id = 4") == 1
    root.fails(f"INSERT INTO {table} (id) VALUES (5)", "(?i)already exists|primary key")
    done = root.job(f"OPTIMIZE TABLE {table}")
    assert (done["files_before"], done["files_after"], done["bytes_saved"]) == (0, 0, 0)
    assert root.rows(f"SELECT v FROM {table} WHERE id = 4") == [["again"]]


def test_segments_of_older_schemas(server, root, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, v TEXT, gone INT)")
    root.run(f"INSERT INTO {table} SELECT i, CAST(i AS TEXT), i FROM GENERATE_SERIES(1, 3000) AS s(i)")
    root.flush(table)
    root.run(f"ALTER TABLE {table} ADD COLUMN more INT DEFAULT 7; ALTER TABLE {table} DROP COLUMN gone")
    root.run(f"ALTER TABLE {table} MODIFY COLUMN v INT; ALTER TABLE {table} RENAME COLUMN v TO w")
    root.run(f"INSERT INTO {table} SELECT i, i, 8 FROM GENERATE_SERIES(3001, 4000) AS s(i)")
    root.flush(table)
    before = root.rows(f"SELECT * FROM {table} ORDER BY id")
    assert root.job(f"OPTIMIZE TABLE {table}")["files_after"] == 1
    assert root.rows(f"SELECT * FROM {table} ORDER BY id") == before
    assert root.rows(f"SELECT * FROM {table} WHERE id = 17") == [before[16]]


def test_users_compact_their_own_rows(server, root, alice, bob, ns):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    for number in range(3):
        for client in (alice, bob):
            client.run(f"INSERT INTO {ns}.t VALUES ({number}, 'v{number}')")
        root.flush(f"{ns}.t")
    assert alice.job(f"OPTIMIZE TABLE {ns}.t", root)["files_before"] == 3
    wait_until(lambda: len(segments(server, ns, "t", "alice")) == 1, "the old files' end")
    assert len(segments(server, ns, "t", "bob")) == 3
    assert root.job(f"STORAGE COMPACT TABLE {ns}.t")["files_before"] == 3
    for client in (alice, bob):
        assert client.rows(f"SELECT v FROM {ns}.t ORDER BY id") == [["v0"], ["v1"], ["v2"]]


def test_vacuum_removes_what_nothing_needs(server, root, ws, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, v TEXT) WITH (DELETED_RETENTION_HOURS = 0)")
    root.run(f"INSERT INTO {table} SELECT i, 'v' FROM GENERATE_SERIES(1, 1000) AS s(i)")
    root.flush(table)
    live = ws.subscribe("before", f"SELECT * FROM {table}")
    live.wait_ready()
    cursor = max(int(row["_seq"]) for row in live.rows)
    root.run(f"DELETE FROM {table} WHERE id <= 10; UPDATE {table} SET v = 'w' WHERE id = 11")
    folder = server.data_path / "storage" / ns / "t"
    (folder / "batch-900.parquet").write_bytes(b"left over")
    assert root.count(table, "WHERE _deleted = true") == 10
    done = root.job(f"VACUUM {table}")
    assert done["message"] == f"Vacuum completed for {ns}:t"
    assert [done[key] for key in ("rows_deleted", "files_before", "files_after", "orphans_removed")] == [10, 1, 1, 1]
    assert root.count(table, "WHERE _deleted = true") == 0 and root.count(table) == 990
    wait_until(lambda: segments(server, ns, "t") == ["batch-1.parquet"], "the old file's end")
    assert root.job(f"VACUUM TABLE {table}")["rows_deleted"] == 0
    assert root.job("VACUUM")["message"] == "Vacuum completed for all tables"
    # Who resumes from before the deletions cannot be told of them; who resumes from after can go on.
    last = int(root.value(f"SELECT MAX(_seq) FROM {table}"))
    ws.subscribe("again", f"SELECT * FROM {table}", {"from": cursor})
    ws.wait_error("again", "CURSOR_TOO_OLD")
    ws.subscribe("later", f"SELECT * FROM {table}", {"from": last}).wait_ready()


def test_analyze_has_nothing_to_do_on_new_files(root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY); INSERT INTO {ns}.t VALUES (1)")
    root.flush(f"{ns}.t")
    done = root.job(f"ANALYZE {ns}.t")
    assert (done["message"], done["files"], done["files_analyzed"]) == (f"Analysis completed for {ns}:t", 1, 0)


def test_beside_readers_writers_transactions_and_subscriptions(server, root, ns):
    """The sum of all rows stays what it is, by every way to read them; increments add up; a subscriber misses nothing."""
    table = f"{ns}.t"
    rows, rounds = 400, 60
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, n INT)")
    for part in range(4):
        root.run(f"INSERT INTO {table} SELECT 4 * i + {part}, 10 FROM GENERATE_SERIES(0, {rows // 4 - 1}) AS s(i)")
        root.flush(table)
    total = 10 * rows
    done = threading.Event()
    failures = []

    def guarded(work):
        try:
            work(server.root())
        except BaseException as failure:  # Shown by the assertion below.
            failures.append(failure)
            done.set()

    def transfer(client):
        chance = random.Random(7)
        for number in range(rounds):
            one, other = chance.sample(range(rows), 2)
            statement = (
                f"UPDATE {table} SET n = n + CASE WHEN id = {one} THEN 1 ELSE -1 END WHERE id IN ({one}, {other})"
            )
            if number % 3 == 0:
                statement = (
                    f"BEGIN; UPDATE {table} SET n = n - 1 WHERE id = {one}; UPDATE {table} SET n = n + 1 WHERE id = {other}; COMMIT"
                )
            client.run(statement)
        done.set()

    def compact(client):
        while not done.is_set():
            client.job(f"OPTIMIZE TABLE {table}")
            client.flush(table)

    def read(client):
        while not done.is_set():
            assert client.rows(f"SELECT COUNT(*), COUNT(DISTINCT id), SUM(n) FROM {table}") == [
                [str(rows), str(rows), str(total)]
            ]
            assert len(client.rows(f"SELECT n FROM {table} WHERE id = 17")) == 1

    with server.websocket(root) as socket:
        live = socket.subscribe("all", f"SELECT * FROM {table}")
        live.wait_ready()
        threads = [threading.Thread(target=guarded, args=(work,)) for work in (transfer, compact, read, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        expected = {id: (n,) for id, n in root.rows(f"SELECT id, n FROM {table}")}
        wait_until(lambda: replica_of(live).values(["n"]) == expected, "all changes")
    root.job(f"OPTIMIZE TABLE {table}")
    assert root.rows(f"SELECT SUM(n) FROM {table}") == [[str(total)]]


def test_kill_during_compaction():
    """Wherever the server is killed, the next one has every row once, and no file is left over."""
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE c; CREATE SHARED TABLE c.t (id BIGINT PRIMARY KEY, v TEXT, d DECIMAL(12, 3), b BOOLEAN)")
        chance = random.Random(11)
        for _ in range(6):
            fill_more(root, chance)
            before = root.rows("SELECT *, _seq FROM c.t ORDER BY id")
            root.run("OPTIMIZE TABLE c.t")
            moment = chance.choice(("*.tmp", "batch-*.parquet", "later"))
            if moment != "later":
                known = set(segments(server, "c", "t"))
                folder = server.data_path / "storage" / "c" / "t"
                wait_until(
                    lambda: any(path.name not in known for path in folder.glob(moment))
                    or not root.count("system.jobs", LIVE_JOBS),
                    "a new file",
                    interval_s=0,
                )
            server.crash()
            assert root.rows("SELECT *, _seq FROM c.t ORDER BY id") == before
            wait_until(lambda: not root.count("system.jobs", LIVE_JOBS), "the job, again")
            assert root.rows("SELECT *, _seq FROM c.t ORDER BY id") == before
            assert len(segments(server, "c", "t")) == 1
            assert not list(server.data_path.rglob("*.tmp"))


def fill_more(root, chance):
    first = root.count("c.t") * 10
    for number in range(3):
        root.run(
            f"INSERT INTO c.t SELECT {first} + i * 3 + {number}, 'v' || i, i / 8.0, true FROM GENERATE_SERIES(0, 4999) AS s(i)"
        )
        root.flush("c.t")
    root.run(f"UPDATE c.t SET v = 'u{chance.random()}' WHERE id % 5 = 0")
    root.flush("c.t")
