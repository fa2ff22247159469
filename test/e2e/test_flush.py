"""Flushed rows: the files, their manifest, and that nothing is lost or seen twice on the way."""

import contextlib
import http.client
import json
import os
import threading
import urllib.request

import pytest
from kalam_testlib import Server, ServerConfig, wait_until


def segments(server, *path):
    folder = server.data_path.joinpath("storage", *path)
    try:
        return sorted(folder.glob("batch-*.parquet"))
    except FileNotFoundError:  # It was removed while it was read.
        return []


def manifest(server, *path):
    return json.loads(server.data_path.joinpath("storage", *path, "manifest.json").read_text())


def check_parquet(path):
    data = path.read_bytes()
    assert data[:4] == data[-4:] == b"PAR1", f"{path} is no whole Parquet file"


def test_files_of_a_shared_table(server, root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t SELECT i, 'v' || i FROM GENERATE_SERIES(1, 3000) AS s(i)")
    root.flush(f"{ns}.t")
    root.run(f"INSERT INTO {ns}.t VALUES (5000, 'later'); DELETE FROM {ns}.t WHERE id = 7")
    root.flush(f"{ns}.t")
    files = segments(server, ns, "t")
    assert [path.name for path in files] == ["batch-0.parquet", "batch-1.parquet"]
    for path in files:
        check_parquet(path)
    assert not list(server.data_path.rglob("*.tmp"))
    found = manifest(server, ns, "t")
    assert set(found) >= {
        "table_id",
        "user_id",
        "version",
        "created_at",
        "updated_at",
        "segments",
        "last_sequence_number",
    }
    assert (found["table_id"], found["user_id"], found["last_sequence_number"]) == (f"{ns}.t", None, 1)
    first, second = found["segments"]
    for segment, path in ((first, files[0]), (second, files[1])):
        assert set(segment) >= {
            "id",
            "path",
            "min_seq",
            "max_seq",
            "row_count",
            "size_bytes",
            "created_at",
            "column_stats",
            "schema_version",
            "status",
        }
        assert segment["path"] == segment["id"] == path.name and segment["status"] == "committed"
        assert segment["size_bytes"] == path.stat().st_size and segment["min_seq"] <= segment["max_seq"]
    assert first["column_stats"] == {
        "1": {"min": {"Int32": "1"}, "max": {"Int32": "3000"}, "null_count": 0},
        "2": {"min": {"Utf8": "v1"}, "max": {"Utf8": "v999"}, "null_count": 0},
    }
    assert first["row_count"] == 3000 and second["row_count"] >= 1
    assert first["max_seq"] < second["min_seq"]
    assert root.count(f"{ns}.t") == 3000


def test_files_of_a_user_table(server, root, alice, bob, ns):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    alice.run(f"INSERT INTO {ns}.t VALUES (1, 'a'), (2, 'b')")
    bob.run(f"INSERT INTO {ns}.t VALUES (1, 'c')")
    root.flush(f"{ns}.t")
    for user, rows in (("alice", 2), ("bob", 1)):
        check_parquet(segments(server, ns, "t", user)[0])
        found = manifest(server, ns, "t", user)
        assert found["user_id"] == user and [segment["row_count"] for segment in found["segments"]] == [rows]
    assert not segments(server, ns, "t")


def test_user_ids_make_no_paths(server, root, ns):
    """Ids with every kind of character have files of their own, inside the table's folder."""
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    users = ["a b", "ü", "UPPER", "upper", ".", "%2e%2e", "a:b", "x" * 120, "'", "{userId}"]
    for user in users:
        name = user.replace("'", "''")
        root.run(f"EXECUTE AS USER '{name}' (INSERT INTO {ns}.t VALUES (1, 'of {name}'))")
    root.flush(f"{ns}.t")
    table = server.data_path / "storage" / ns / "t"
    inside = list(table.rglob("batch-*.parquet"))
    assert len(inside) == len(users)
    assert all(len(path.relative_to(table).parts) == 2 for path in inside), inside
    for user in users:
        name = user.replace("'", "''")
        assert root.rows(f"EXECUTE AS USER '{name}' (SELECT v FROM {ns}.t)") == [[f"of {user}"]]
    root.fails(f"EXECUTE AS USER '../up' (INSERT INTO {ns}.t VALUES (1, 'x'))")
    root.fails(f"EXECUTE AS USER 'a/b' (INSERT INTO {ns}.t VALUES (1, 'x'))")


def test_a_flush_follows_a_rename(server, root, ns):
    """Jobs that were queued under the old name flush the table all the same."""
    for number in range(20):
        root.run(f"CREATE SHARED TABLE {ns}.t{number} (id INT PRIMARY KEY); INSERT INTO {ns}.t{number} VALUES (1)")
    root.run(
        "".join(
            f"STORAGE FLUSH TABLE {ns}.t{number}; ALTER TABLE {ns}.t{number} RENAME TO u{number}; " for number in range(20)
        )
    )
    wait_until(
        lambda: root.count("system.jobs", "WHERE job_type = 'flush' AND status IN ('new', 'queued', 'running', 'retrying')") == 0, "the jobs"
    )
    assert root.rows(f"SELECT message FROM system.jobs WHERE status = 'failed' AND parameters LIKE '%\"{ns}\"%'") == []
    for number in range(20):
        stats = root.dicts(f"SHOW STATS FOR TABLE {ns}.u{number}")[0]
        assert (int(stats["hot_rows"]), int(stats["cold_rows"])) == (0, 1)


def test_row_policy():
    with Server(ServerConfig(flush={"check_interval_seconds": 1})) as server:
        root = server.root()
        root.run(
            "CREATE NAMESPACE pol; CREATE SHARED TABLE pol.t (id INT PRIMARY KEY) WITH (FLUSH_POLICY = 'rows:100')"
        )
        root.run("CREATE SHARED TABLE pol.never (id INT PRIMARY KEY)")
        root.run("INSERT INTO pol.never SELECT i FROM GENERATE_SERIES(1, 500) AS s(i)")
        root.run("INSERT INTO pol.t SELECT i FROM GENERATE_SERIES(1, 99) AS s(i)")
        root.run("INSERT INTO pol.t VALUES (100)")
        wait_until(lambda: segments(server, "pol", "t"), "a flush by policy")
        root.flush("pol.t")
        assert root.count("pol.t") == 100 and not segments(server, "pol", "never")


def test_nothing_is_lost_or_seen_twice_while_flushing(server, root, ns):
    """Readers count while one thread inserts and another flushes: the count never falls, and ends right."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    done = threading.Event()
    failures = []

    def guarded(work):
        try:
            work(server.root())
        except BaseException as failure:  # Shown by the assertion below.
            failures.append(failure)
            done.set()

    def write(client):
        for number in range(60):
            client.run(
                f"INSERT INTO {ns}.t SELECT {number} * 50 + i, REPEAT('x', 50) FROM GENERATE_SERIES(0, 49) AS s(i)"
            )
        done.set()

    def flush(client):
        while not done.is_set():
            client.flush(f"{ns}.t")

    def read(client):
        last = 0
        while not done.is_set():
            count, distinct, one = client.rows(
                f"SELECT COUNT(*), COUNT(DISTINCT id), COUNT(*) FILTER (WHERE id = 0) FROM {ns}.t"
            )[0]
            assert count == distinct and int(count) >= last and int(count) % 50 == 0, (count, distinct, last)
            last = int(count)
            if last:
                assert one == "1" and len(client.rows(f"SELECT v FROM {ns}.t WHERE id = {last - 1}")) == 1

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (write, flush, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert root.count(f"{ns}.t") == 3000
    root.flush(f"{ns}.t")
    assert root.count(f"{ns}.t") == 3000
    assert sum(segment["row_count"] for segment in manifest(server, ns, "t")["segments"]) == 3000


def test_restart_and_orphans():
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE o; CREATE SHARED TABLE o.t (id INT PRIMARY KEY, v TEXT)")
        root.run("CREATE USER TABLE o.u (id INT PRIMARY KEY, v TEXT); INSERT INTO o.u VALUES (1, 'mine')")
        root.run("INSERT INTO o.t SELECT i, 'v' FROM GENERATE_SERIES(1, 1000) AS s(i)")
        root.flush("o.t")
        root.flush("o.u")
        root.run(
            "UPDATE o.t SET v = 'w' WHERE id <= 10; DELETE FROM o.t WHERE id > 990; INSERT INTO o.t VALUES (2000, 'hot')"
        )

        def check():
            assert root.rows("SELECT v, COUNT(*) FROM o.t GROUP BY v ORDER BY v") == [
                ["hot", "1"],
                ["v", "980"],
                ["w", "10"],
            ]
            assert root.rows("SELECT id, v FROM o.t WHERE id = 5") == [[5, "w"]]
            assert root.rows("SELECT id, v FROM o.t WHERE id = 995") == []
            root.fails("INSERT INTO o.t VALUES (500, 'x')", "Primary key violation")
            assert root.rows("SELECT id, v FROM o.u") == [[1, "mine"]]

        check()
        server.restart()
        check()
        server.stop()
        folder = server.data_path / "storage/o/t"
        orphan, partial = folder / "batch-77.parquet", folder / "batch-78.parquet.tmp"
        orphan.write_bytes((folder / "batch-0.parquet").read_bytes())
        partial.write_bytes(b"PAR1 and no more")
        server.start()
        check()
        wait_until(lambda: not orphan.exists() and not partial.exists(), "the orphans' end")
        check()
        assert (folder / "batch-0.parquet").exists()
        server.crash()
        check()
        root.flush("o.t")
        check()


def test_dropped_tables_leave_no_files(server, root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY)")
    root.run(f"INSERT INTO {ns}.t VALUES (1)")
    root.flush(f"{ns}.t")
    assert segments(server, ns, "t")
    root.run(f"DROP TABLE {ns}.t; CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY); INSERT INTO {ns}.t VALUES (2)")
    assert root.rows(f"SELECT id FROM {ns}.t") == [[2]]
    wait_until(lambda: not segments(server, ns, "t"), "the old files' end")
    root.flush(f"{ns}.t")
    assert root.rows(f"SELECT id FROM {ns}.t") == [[2]]
    root.run(f"DROP NAMESPACE {ns}")
    # Unlike rglob(), os.walk() passes over a directory that is removed meanwhile.
    folder = server.data_path / "storage" / ns
    wait_until(lambda: not any(name.endswith(".parquet") for _, _, names in os.walk(folder) for name in names), "their end")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damaged_segment_is_an_error_and_never_a_wrong_row(damage):
    with Server() as server:
        root = server.root()
        root.run(
            "CREATE NAMESPACE d; CREATE SHARED TABLE d.t (id INT PRIMARY KEY, v TEXT); CREATE SHARED TABLE d.other (id INT PRIMARY KEY)"
        )
        root.run(
            "INSERT INTO d.t SELECT i, 'value ' || i FROM GENERATE_SERIES(1, 500) AS s(i); INSERT INTO d.other VALUES (1)"
        )
        root.flush("d.t")
        server.stop()
        path = segments(server, "d", "t")[0]
        data = bytearray(path.read_bytes())
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(data[: len(data) // 2])
        else:
            data[-20] ^= 0xFF
            path.write_bytes(data)
        server.start()
        response = root.sql("SELECT id, v FROM d.t")
        if response.ok:
            assert response.results[0]["rows"] == [[number, f"value {number}"] for number in range(1, 501)]
        else:
            assert response.status in (400, 500) and response.message
        assert root.rows("SELECT id FROM d.other") == [[1]], "the rest goes on"


def test_system_manifest(server, root, alice, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT); CREATE USER TABLE {ns}.mine (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t VALUES (1, 'a'), (2, NULL)")
    alice.run(f"INSERT INTO {ns}.mine VALUES (1, 'secret of alice')")
    root.flush(f"{ns}.t")
    root.flush(f"{ns}.mine")

    def rows():
        found = root.dicts(f"SELECT * FROM system.manifest WHERE namespace_id = '{ns}' ORDER BY cache_key")
        return {row["cache_key"]: row for row in found}

    found = rows()
    assert set(found) == {f"{ns}:mine:alice", f"{ns}:t:shared"}
    shared, own = found[f"{ns}:t:shared"], found[f"{ns}:mine:alice"]
    assert (shared["table_name"], shared["scope"], shared["sync_state"]) == ("t", "shared", "in_sync")
    assert json.loads(shared["manifest_json"]) == manifest(server, ns, "t")
    # A user's values are nobody else's, by this way either; the file beside the segments has them.
    assert "secret" not in own["manifest_json"] and own["sync_state"] == "in_sync"
    told, stored = json.loads(own["manifest_json"]), manifest(server, ns, "mine", "alice")
    assert told["segments"][0]["column_stats"]["2"] == {"min": None, "max": None, "null_count": 0}
    assert stored["segments"][0]["column_stats"]["2"]["min"] == {"Utf8": "secret of alice"}
    root.run(f"DELETE FROM {ns}.t WHERE id = 1")
    root.job(f"VACUUM {ns}.t")
    assert rows()[f"{ns}:t:shared"]["sync_state"] == "in_sync"
    # A flush exports what was deleted of each user, of those too that have no rows to write.
    alice.run(f"DELETE FROM {ns}.mine WHERE id = 1")
    root.run(f"INSERT INTO {ns}.mine VALUES (1, 'of root')")
    root.flush(f"{ns}.mine")
    assert rows()[f"{ns}:mine:alice"]["sync_state"] == "in_sync"
    assert manifest(server, ns, "mine", "alice")["segments"][0]["deletion_vector"]
    server.data_path.joinpath("storage", ns, "t", "manifest.json").unlink()
    assert rows()[f"{ns}:t:shared"]["sync_state"] == "error"
    shown = root.result("SHOW MANIFEST")
    assert [field["name"] for field in shown["schema"]][:4] == ["cache_key", "namespace_id", "table_name", "scope"]


def test_deletes_alone_are_exported():
    """Of a table without rows to flush, manifest.json has the deletions after FLUSH, and after the end of the server."""

    def state(root):
        return root.value("SELECT sync_state FROM system.manifest")

    with Server(ServerConfig(flush={"check_interval_seconds": 3600})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY); INSERT INTO app.t VALUES (1), (2), (3)")
        root.flush("app.t")
        assert manifest(server, "app", "t")["segments"][0]["deletion_vector"] is None
        root.run("DELETE FROM app.t WHERE id = 1")
        assert state(root) == "pending_write"
        assert "skipped" in root.result("FLUSH TABLE app.t")["message"]
        wait_until(lambda: state(root) == "in_sync", "the export")
        first = manifest(server, "app", "t")["segments"][0]["deletion_vector"]
        root.run("DELETE FROM app.t WHERE id = 3")
        assert state(root) == "pending_write"
        server.stop()
        assert manifest(server, "app", "t")["segments"][0]["deletion_vector"] not in (None, first)
        server.start()
        assert state(server.root()) == "in_sync"


def test_flush_at_shutdown():
    """The rows of every table are flushed before a server stops that is told so, and are found by the next one."""
    with Server(ServerConfig(flush={"at_shutdown": True})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE app; CREATE SHARED TABLE app.s (id INT PRIMARY KEY); CREATE USER TABLE app.u (id INT PRIMARY KEY)")
        root.run("INSERT INTO app.s VALUES (1), (2); INSERT INTO app.u VALUES (3)")
        server.stop()
        assert segments(server, "app", "s") and segments(server, "app", "u", "root")
        server.start()
        root = server.root()
        assert root.rows("SELECT id FROM app.s ORDER BY id") == [[1], [2]] and root.rows("SELECT id FROM app.u") == [[3]]


def test_writes_of_a_flushed_table_wait_for_no_worker():
    with Server(ServerConfig(performance={"query_threads": 1})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v INT)")
        root.run("INSERT INTO app.t SELECT i, i FROM range(1000) r(i)")
        root.flush("app.t")
        root.run("INSERT INTO app.t VALUES (2000, 0)")
        # The one worker streams rows for as long as somebody reads them.
        request = urllib.request.Request(
            f"{server.url}/v1/api/sql",
            json.dumps({"sql": "SELECT i, 'some text' FROM range(100000000) r(i)"}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {root.token}"},
        )
        ended, stop = threading.Event(), threading.Event()
        with urllib.request.urlopen(request) as rows:
            assert rows.read(1)

            def read():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    while not stop.is_set() and rows.read(1 << 20):
                        pass
                ended.set()

            reader = threading.Thread(target=read)
            reader.start()
            root.run("INSERT INTO app.t VALUES (1000, 1)")
            root.run("UPDATE app.t SET v = 5 WHERE id = 2000")
            root.run("DELETE FROM app.t WHERE id = 1000")
            assert not ended.is_set(), "the writes waited for the worker"
            stop.set()
            reader.join()
        # What may lie in a segment is looked for there, by the worker.
        root.fails("INSERT INTO app.t VALUES (7, 1)", "already exists")
        root.run("UPDATE app.t SET v = 6 WHERE id = 7")
        assert root.rows("SELECT id, v FROM app.t WHERE id IN (7, 1000, 2000) ORDER BY id") == [[7, 6], [2000, 5]]
