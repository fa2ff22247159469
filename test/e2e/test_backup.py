"""BACKUP and RESTORE DATABASE: every row, definition and deletion comes back, beside writers, on another server, from
buckets, and after kill -9; what is damaged or in the way changes nothing."""

import json
import random
import threading
import time

import pytest
from kalam_testlib import Server, ServerConfig, wait_until
from kalam_testlib.http_client import wait_for_failure, wait_for_job
from kalam_testlib.s3 import S3Service
from kalam_testlib.server import files_of


@pytest.fixture(scope="module")
def server():
    """One whose files are what statements make of them."""
    with Server(ServerConfig(compaction={"max_small_segments": 0})) as running:
        yield running


def job_error(root, statement):
    """Runs a statement that starts a job, waits until that has failed, and returns why."""
    return wait_for_failure(root, root.result(statement)["message"].rsplit("Job ID: ", 1)[1])


def make_database(root, ns, alice):
    """Tables of every kind, with rows hot and cold, changed and deleted, by older and newer schemas."""
    root.run(f"CREATE SHARED TABLE {ns}.s (id INT PRIMARY KEY, v TEXT, gone INT) WITH (ACCESS_LEVEL = 'PUBLIC')")
    root.run(f"INSERT INTO {ns}.s SELECT i, 'v' || i, i FROM GENERATE_SERIES(1, 500) AS x(i)")
    root.flush(f"{ns}.s")
    root.run(f"ALTER TABLE {ns}.s ADD COLUMN more INT DEFAULT 7; ALTER TABLE {ns}.s DROP COLUMN gone")
    root.run(f"INSERT INTO {ns}.s SELECT i, 'w' || i, 8 FROM GENERATE_SERIES(501, 700) AS x(i)")
    root.run(f"UPDATE {ns}.s SET v = 'changed' WHERE id % 7 = 0; DELETE FROM {ns}.s WHERE id % 5 = 0")
    root.run(f"CREATE USER TABLE {ns}.u (id INT PRIMARY KEY, v TEXT)")
    for client in (root, alice):
        client.run(f"INSERT INTO {ns}.u SELECT i, CURRENT_USER() || i FROM GENERATE_SERIES(1, 40) AS x(i)")
    root.flush(f"{ns}.u")
    alice.run(f"DELETE FROM {ns}.u WHERE id > 30; INSERT INTO {ns}.u VALUES (99, 'hot')")
    root.run(f"CREATE SHARED TABLE {ns}.p (a TEXT, b INT, PRIMARY KEY (a, b)) PARTITION BY (a)")
    root.run(f"INSERT INTO {ns}.p SELECT chr(CAST(97 + i % 3 AS INT)), i FROM GENERATE_SERIES(1, 30) AS x(i)")
    root.run(f"CREATE SHARED TABLE {ns}.keyless (v DECIMAL(9, 2), w TIMESTAMP)")
    root.run(f"INSERT INTO {ns}.keyless VALUES (1.5, NOW()), (2.5, NULL)")
    root.run(f"CREATE STREAM TABLE {ns}.st (id INT PRIMARY KEY) WITH (TTL_SECONDS = 600)")
    root.run(f"CREATE VIEW {ns}.w AS SELECT id, v FROM s WHERE id < 100", namespace=ns)
    root.run(f"ALTER NAMESPACE {ns} SET OPTIONS (note = 'kept')")


def contents(root, alice, ns):
    """All that a reader can see of such a namespace."""
    return {
        "s": root.rows(f"SELECT id, v, more, _seq FROM {ns}.s ORDER BY id"),
        "deleted": root.rows(f"SELECT id, _seq FROM {ns}.s WHERE _deleted = true ORDER BY id"),
        "root": root.rows(f"SELECT id, v, _seq FROM {ns}.u ORDER BY id"),
        "alice": alice.rows(f"SELECT id, v, _seq FROM {ns}.u ORDER BY id"),
        "alice deleted": alice.rows(f"SELECT id, _seq FROM {ns}.u WHERE _deleted = true ORDER BY id"),
        "p": root.rows(f"SELECT a, b FROM {ns}.p ORDER BY a, b"),
        "keyless": root.rows(f"SELECT v, w, _seq FROM {ns}.keyless ORDER BY v"),
        "view": root.rows(f"SELECT id, v FROM {ns}.w ORDER BY id"),
        "history": [row[:4] for row in root.rows(f"DESCRIBE TABLE {ns}.s HISTORY")],
        "columns": root.rows(f"DESCRIBE TABLE {ns}.s"),
        "options": root.value("SELECT options FROM system.namespaces WHERE name = $1", [ns]),
    }


def test_everything_comes_back(server, root, alice, ns):
    make_database(root, ns, alice)
    before = contents(root, alice, ns)
    assert len(before["deleted"]) == 140 and len(before["alice deleted"]) == 10
    done = root.job(f"BACKUP DATABASE {ns} TO '{ns}'")
    assert done["message"].startswith(f"Backup completed: '{ns}' (") and done["tables"] == 6
    assert done["rows"] == 560 + 40 + 31 + 30 + 2
    backup = server.data_path / "backups" / ns
    assert json.loads((backup / "manifest.json").read_text())["format"] == 1
    assert not (backup / "unfinished.txt").exists()

    listed = root.rows(f"SHOW BACKUP '{ns}'")
    assert [row[1:5] for row in listed] == [
        ["keyless", "shared", "2", "0"],
        ["p", "shared", "30", "0"],
        ["s", "shared", "560", "140"],
        ["st", "stream", "0", "0"],
        ["u", "user", "71", "10"],
        ["w", "view", "0", "0"],
    ]

    other = f"{ns}_again"
    done = root.job(f"RESTORE DATABASE {other} FROM '{ns}'")
    assert done["message"] == f"Restore completed from '{ns}' - 6 tables, 663 rows"
    assert contents(root, alice, other) == before

    # What was restored is a database like any other.
    root.fails(f"INSERT INTO {other}.s (id) VALUES (1)", "(?i)already exists|primary key")
    root.run(f"INSERT INTO {other}.s (id, v) VALUES (5, 'back again'); UPDATE {other}.s SET v = 'x' WHERE id = 1")
    alice.run(f"DELETE FROM {other}.u WHERE id = 1; INSERT INTO {other}.u VALUES (31, 'again')")
    root.run(f"INSERT INTO {other}.st VALUES (1)")
    for table in ("s", "u"):
        root.flush(f"{other}.{table}")
        root.job(f"OPTIMIZE TABLE {other}.{table}")
    assert root.rows(f"SELECT id, v FROM {other}.s WHERE id IN (1, 5) ORDER BY id") == [[1, "x"], [5, "back again"]]
    assert [row[0] for row in alice.rows(f"SELECT id FROM {other}.u ORDER BY id")] == [*range(2, 32), 99]
    assert contents(root, alice, ns) == before, "the one it came from is untouched"
    changed = contents(root, alice, other)
    root.run(f"DROP NAMESPACE {ns}")
    server.restart()
    assert contents(root, alice, other) == changed

    # Under its own name, now that it is free.
    root.job(f"RESTORE DATABASE {ns} FROM '{ns}'")
    assert contents(root, alice, ns) == before


def test_on_another_machine(tmp_path):
    with Server() as server:
        root, alice = server.root(), server.user("alice")
        root.run(f"CREATE NAMESPACE one; CREATE STORAGE disk TYPE filesystem PATH '{server.directory}/disk'")
        make_database(root, "one", alice)
        root.run("CREATE NAMESPACE two; CREATE SHARED TABLE two.t (id INT PRIMARY KEY) WITH (STORAGE_ID = 'disk')")
        root.run("CREATE VIEW two.across AS SELECT id FROM one.s WHERE id < 4; INSERT INTO two.t VALUES (1), (2)")
        root.flush("two.t")
        before = contents(root, alice, "one")
        root.job(f"BACKUP DATABASE TO '{tmp_path}/all'")
        root.job("BACKUP DATABASE one TO STORAGE disk 'nightly/monday'")
    with Server() as server:
        root, alice = server.root(), server.user("alice")
        done = root.job(f"RESTORE DATABASE FROM '{tmp_path}/all'")
        assert "storage 'disk' does not exist here, its tables are in 'local'" in done["message"]
        assert contents(root, alice, "one") == before
        assert root.rows("SELECT id FROM two.t ORDER BY id") == [[1], [2]]
        assert root.rows("SELECT id FROM two.across ORDER BY id") == [[1], [2], [3]]
        last = root.value("SELECT MAX(_seq) FROM one.s")
        root.run("INSERT INTO one.s (id) VALUES (100000)")
        assert int(root.value("SELECT MAX(_seq) FROM one.s")) > int(last)


def test_a_storage_as_target(server, root, alice, ns):
    make_database(root, ns, alice)
    before = contents(root, alice, ns)
    root.run(f"CREATE STORAGE {ns} TYPE filesystem PATH '{server.directory}/{ns}'")
    root.job(f"BACKUP DATABASE {ns} TO STORAGE {ns} 'nightly/monday'")
    server.restart()  # Which removes what no table's manifest names: nothing of a backup is among it.
    root.job(f"RESTORE DATABASE {ns}_2 FROM STORAGE {ns} 'nightly/monday'")
    assert contents(root, alice, f"{ns}_2") == before
    root.fails(f"BACKUP DATABASE {ns} TO '{server.directory}/{ns}/x'", "lies in the directory of storage")


def test_a_bucket_as_target_and_as_source():
    config = ServerConfig(storage={"allow_private_endpoints": True})
    with S3Service() as s3:
        with Server(config) as server:
            root, alice = server.root(), server.user("alice")
            root.run(s3.create_storage("bucket") + ";" + "CREATE NAMESPACE one")
            make_database(root, "one", alice)
            root.run("CREATE SHARED TABLE one.far (id INT PRIMARY KEY) WITH (STORAGE_ID = 'bucket')")
            root.run("INSERT INTO one.far SELECT i FROM GENERATE_SERIES(1, 1000) AS x(i)")
            root.flush("one.far")
            before = contents(root, alice, "one")
            root.job("BACKUP DATABASE one TO STORAGE bucket 'monday'")
            root.fails("BACKUP DATABASE one TO STORAGE bucket 'monday'", "already holds a backup")
            names = s3.objects(".backups/monday/")
            assert ".backups/monday/manifest.json" in names and ".backups/monday/unfinished.txt" not in names
            root.job("RESTORE DATABASE two FROM STORAGE bucket 'monday'")
            assert contents(root, alice, "two") == before and root.count("two.far") == 1000
            s3.gateway.go_away()
            root.fails("RESTORE DATABASE three FROM STORAGE bucket 'monday'", status=503)
            s3.gateway.come_back()
        with Server(config) as server:
            root, alice = server.root(), server.user("alice")
            root.run(s3.create_storage("same"))
            done = root.job("RESTORE DATABASE one FROM STORAGE same 'monday'")
            assert "storage 'bucket' does not exist here" in done["message"]
            assert contents(root, alice, "one") == before and root.count("one.far") == 1000


def test_one_moment_while_writers_go_on(server, root, ns):
    """Two tables that are always changed together have the same sum in a backup."""
    root.run(f"CREATE SHARED TABLE {ns}.a (id INT PRIMARY KEY, n INT); CREATE SHARED TABLE {ns}.b (id INT PRIMARY KEY, n INT)")
    for table in ("a", "b"):
        root.run(f"INSERT INTO {ns}.{table} SELECT i, 0 FROM GENERATE_SERIES(1, 200) AS x(i)")
        root.flush(f"{ns}.{table}")
    stop = threading.Event()
    failures = []
    rounds = [0]

    def write():
        chance = random.Random(3)
        client = server.root()
        try:
            while not stop.is_set():
                key = chance.randrange(1, 201)
                client.run(f"BEGIN; UPDATE {ns}.a SET n = n + 1 WHERE id = {key}; UPDATE {ns}.b SET n = n + 1 WHERE id = {key}; COMMIT")
                rounds[0] += 1
                if rounds[0] % 50 == 0:
                    client.run(f"STORAGE FLUSH TABLE {ns}.a")
        except BaseException as failure:
            failures.append(failure)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            seen = rounds[0]
            wait_until(lambda: rounds[0] > seen + 20 or failures, "writes")
            root.job(f"BACKUP DATABASE {ns} TO '{ns}/{number}'")
    finally:
        stop.set()
        writer.join()
    assert not failures
    sums = []
    for number in range(4):
        root.job(f"RESTORE DATABASE {ns}_r{number} FROM '{ns}/{number}'")
        a, b = (root.rows(f"SELECT id, n FROM {ns}_r{number}.{table} ORDER BY id") for table in "ab")
        assert a == b and len(a) == 200
        sums.append(sum(n for _, n in a))
    assert sums == sorted(set(sums)), "each is of a later moment"


def test_a_subscriber_resumes_in_what_was_restored(server, root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    seen = root.value(f"SELECT MAX(_seq) FROM {ns}.t")
    root.run(f"DELETE FROM {ns}.t WHERE id = 2; UPDATE {ns}.t SET v = 'z' WHERE id = 3")
    root.job(f"BACKUP DATABASE {ns} TO '{ns}'")
    root.job(f"RESTORE DATABASE {ns}_2 FROM '{ns}'")
    changes = root.rows(f"SELECT id, _deleted FROM {ns}_2.t WHERE _seq > {seen} AND _deleted = true")
    assert changes == [[2, True]]
    assert root.rows(f"SELECT id, v FROM {ns}_2.t WHERE _seq > {seen}") == [[3, "z"]]


def test_what_was_forgotten_stays_forgotten(server, root, ws, ns):
    """A cursor from before deletions that VACUUM removed is refused in what was restored too."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY) WITH (DELETED_RETENTION_HOURS = 0)")
    root.run(f"INSERT INTO {ns}.t VALUES (1), (2)")
    cursor = int(root.value(f"SELECT MAX(_seq) FROM {ns}.t"))
    root.run(f"DELETE FROM {ns}.t WHERE id >= 1")
    assert root.job(f"VACUUM {ns}.t")["rows_deleted"] == 2
    root.job(f"BACKUP DATABASE {ns} TO '{ns}'")
    root.job(f"RESTORE DATABASE {ns}_2 FROM '{ns}'")
    ws.subscribe("old", f"SELECT * FROM {ns}_2.t", {"from": cursor})
    ws.wait_error("old", "CURSOR_TOO_OLD")


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "manifest", "unfinished"])
def test_damage_changes_nothing(server, root, ns, damage):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t SELECT i, 'v' || i FROM GENERATE_SERIES(1, 100) AS x(i)")
    root.job(f"BACKUP DATABASE {ns} TO '{ns}'")
    backup = server.data_path / "backups" / ns
    segment = backup / ns / "t" / "segment-0.parquet"
    content = bytearray(segment.read_bytes())
    restore = f"RESTORE DATABASE {ns}_2 FROM '{ns}'"
    if damage == "flip":
        content[len(content) // 2] ^= 1
        segment.write_bytes(content)
        assert "is not what was written" in job_error(root, restore)
    elif damage == "cut":
        segment.write_bytes(content[:-1])
        assert "is not what was written" in job_error(root, restore)
    elif damage == "missing":
        segment.unlink()
        assert "is missing" in job_error(root, restore)
    elif damage == "manifest":
        manifest = backup / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"rows": 100', '"rows": 101'))
        root.fails(restore, "manifest.json is damaged")
    else:
        (backup / "manifest.json").unlink()
        root.fails(restore, "no complete backup")
    assert root.count("system.namespaces", f"WHERE name = '{ns}_2'") == 0
    assert not (server.data_path / "storage" / f"{ns}_2").exists()


def test_what_is_in_the_way(server, root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY)")
    root.job(f"BACKUP DATABASE {ns} TO '{ns}'")
    root.fails(f"BACKUP DATABASE {ns} TO '{ns}'", "already holds a backup")
    root.fails(f"RESTORE DATABASE {ns} FROM '{ns}'", "already exists and has 1 table")
    (server.directory / "full").mkdir(exist_ok=True)
    (server.directory / "full" / "file").write_text("")
    root.fails(f"BACKUP DATABASE {ns} TO '{server.directory}/full'", "is not empty")
    root.fails(f"RESTORE DATABASE {ns}_2 FROM '{server.directory}/full'", "no complete backup")
    root.fails(f"RESTORE DATABASE {ns}_2 FROM '{server.directory}/full/file'", "is not a directory")
    for link, to in (("to_etc", "/etc"), ("to_storage", server.data_path / "storage")):
        (server.directory / link).symlink_to(to)
        root.fails(f"BACKUP DATABASE {ns} TO '{server.directory}/{link}/x'", "can't hold a backup")


def test_the_default_namespace():
    """It is always there, and is restored where it is empty."""
    with Server() as server:
        root = server.root()
        root.run("CREATE SHARED TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
        root.job("BACKUP DATABASE default TO 'x'")
        root.fails("RESTORE DATABASE default FROM 'x'", "already exists and has 1 table")
        root.run("DROP TABLE t")
        root.job("RESTORE DATABASE default FROM 'x'")
        assert root.rows("SELECT id FROM t") == [[1]]
        root.fails("BACKUP DATABASE system TO 'y'", "not found")
        root.fails("RESTORE DATABASE system FROM 'x'", "reserved")
        root.fails("RESTORE DATABASE \"a/b\" FROM 'x'", "(?i)name")


def kill_at(server, root, start):
    """Starts a job and kills the server at some moment of it. The job's id."""
    job_id = root.result(start)["message"].rsplit("Job ID: ", 1)[1]
    time.sleep(random.Random(start).random() / 10)  # A random moment is what is wanted here.
    server.crash()
    return job_id


def test_kill_while_backing_up_and_restoring():
    """The job goes on at the next start, and nothing is half there at any time."""
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE k; CREATE SHARED TABLE k.t (id INT PRIMARY KEY, v TEXT)")
        root.run("INSERT INTO k.t SELECT i, 'v' || i FROM GENERATE_SERIES(1, 60000) AS x(i)")
        root.flush("k.t")
        root.run("DELETE FROM k.t WHERE id % 3 = 0; UPDATE k.t SET v = 'new' WHERE id % 3 = 1 AND id < 30000")
        before = root.rows("SELECT COUNT(*), SUM(id), MAX(_seq) FROM k.t")
        deleted = root.count("k.t", "WHERE _deleted = true")
        for number in range(5):
            job_id = kill_at(server, root, f"BACKUP DATABASE k TO 'b{number}'")
            wait_for_job(root, job_id)
            job_id = kill_at(server, root, f"RESTORE DATABASE r{number} FROM 'b{number}'")
            if root.count("system.namespaces", f"WHERE name = 'r{number}'"):
                assert root.rows(f"SELECT COUNT(*), SUM(id), MAX(_seq) FROM r{number}.t") == before
            wait_for_job(root, job_id)
            assert root.rows(f"SELECT COUNT(*), SUM(id), MAX(_seq) FROM r{number}.t") == before
            assert root.count(f"r{number}.t", "WHERE _deleted = true") == deleted
        server.restart()
        stored = [name for name in files_of(server.data_path / "storage") if name.endswith(".parquet")]
        for number in range(5):
            directories = {name.rsplit("/", 1)[0] for name in stored if name.startswith(f"r{number}/")}
            assert len(directories) == 1, "what an unfinished restore brought in is gone"


def test_files_that_users_share_come_back(server, root, alice, ns, tmp_path):
    root.run(
        f"CREATE STORAGE {ns} TYPE filesystem PATH '{tmp_path}/cold' "
        "USER_TABLES_TEMPLATE '{namespace}/{tableName}/{shard}'"
    )
    root.run(f"CREATE USER TABLE {ns}.u (id INT PRIMARY KEY, v TEXT) WITH (STORAGE_ID = '{ns}')")
    for client in (root, alice):
        client.run(f"INSERT INTO {ns}.u SELECT i, CURRENT_USER() || i FROM GENERATE_SERIES(1, 40) AS x(i)")
    root.flush(f"{ns}.u")
    for client, first in ((root, 20), (alice, 25)):
        client.run(f"DELETE FROM {ns}.u WHERE id > {first}; UPDATE {ns}.u SET v = 'changed' WHERE id = 3")

    def seen(client, where):
        return [
            client.rows(f"SELECT id, v, _seq FROM {where}.u ORDER BY id"),
            client.rows(f"SELECT id, _seq FROM {where}.u WHERE _deleted = true ORDER BY id"),
        ]

    before = [seen(root, ns), seen(alice, ns)]
    assert [len(rows) for rows in before[0] + before[1]] == [20, 20, 25, 15]
    root.job(f"BACKUP DATABASE {ns} TO '{ns}'")
    root.job(f"RESTORE DATABASE {ns}_2 FROM '{ns}'")
    assert [seen(root, f"{ns}_2"), seen(alice, f"{ns}_2")] == before
    # Where the storage is not, and each user has a directory by the template.
    with Server(ServerConfig()) as other, other.root() as there:
        (other.data_path / "backups").mkdir(exist_ok=True)
        (server.data_path / "backups" / ns).rename(other.data_path / "backups" / ns)
        assert f"storage '{ns}' does not exist here" in there.job(f"RESTORE DATABASE {ns} FROM '{ns}'")["message"]
        with other.user("alice") as alice_there:
            assert [seen(there, ns), seen(alice_there, ns)] == before
            alice_there.run(f"INSERT INTO {ns}.u VALUES (100, 'new')")
            there.flush(f"{ns}.u")
            assert alice_there.count(f"{ns}.u") == 26 and there.count(f"{ns}.u") == 20
