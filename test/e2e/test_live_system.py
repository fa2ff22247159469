"""Live queries of system tables: what a client has is, after each change of a record, what SELECT answers."""

import json
import threading
import time

import pytest
from kalam_testlib import SLOWDOWN, Server, wait_until
from kalam_testlib.conditions import DEADLINE_S
from kalam_testlib.live_result import Result, check
from kalam_testlib.server import USER_PASSWORD
from kalam_testlib.ws_client import change_row

KEYS = {
    "users": ["user_id"],
    "namespaces": ["namespace_id"],
    "tables": ["namespace_id", "table_name"],
    "schemas": ["table_id", "schema_version"],
    "columns": ["namespace_id", "table_name", "column_id"],
    "storages": ["storage_id"],
    "jobs": ["job_id"],
    "job_nodes": ["job_id", "node_id"],
}


def subscribe(ws, table, where="", columns="*"):
    live = ws.subscribe(f"{table}{where}", f"SELECT {columns} FROM system.{table} {where}").ready()
    return Result(live, KEYS[table])


def wait_same(root, sql, result):
    """Until the client's rows are those of SELECT: changes come behind the answer to the statement."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return check(root, sql, result)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def told(result):
    return [(m["change_type"], change_row(m)) for m in result.live.changes]


def test_all_of_them_follow_their_records(server, root, ws, ns, tmp_path):
    results = {table: subscribe(ws, table) for table in KEYS}
    for table, result in results.items():
        flagged = [f["name"] for f in result.live.ack["schema"] if "pk" in f.get("flags", [])]
        assert sorted(flagged) == sorted(KEYS[table])
        assert [f["name"] for f in result.live.ack["schema"]][-1] == "_seq"
        assert result.live.ack["total_rows"] == len(result.live.rows)
    for statement in (
        f"CREATE USER {ns}_u WITH PASSWORD '{USER_PASSWORD}' ROLE user EMAIL 'a@b.c'",
        f"ALTER USER {ns}_u SET ROLE service",
        f"ALTER USER {ns}_u SET EMAIL 'd@e.f'",
        f"ALTER USER {ns}_u SET PASSWORD '{USER_PASSWORD}-2'",
        f"DROP USER {ns}_u",
        f"CREATE NAMESPACE {ns}_2",
        f"ALTER NAMESPACE {ns}_2 SET OPTIONS (owner = 'me')",
        f"CREATE SHARED TABLE {ns}_2.t (id INT PRIMARY KEY, v TEXT)",
        f"ALTER TABLE {ns}_2.t ADD COLUMN w INT DEFAULT 5",
        f"ALTER TABLE {ns}_2.t RENAME COLUMN v TO text",
        f"ALTER TABLE {ns}_2.t DROP COLUMN w",
        f"ALTER TABLE {ns}_2.t RENAME TO renamed",
        f"CREATE VIEW {ns}_2.v AS SELECT id FROM {ns}_2.renamed",
        f"CREATE OR REPLACE VIEW {ns}_2.v AS SELECT text FROM {ns}_2.renamed",
        f"DROP VIEW {ns}_2.v",
        f"CREATE USER TABLE {ns}_2.other (id INT PRIMARY KEY)",
        f"INSERT INTO {ns}_2.renamed VALUES (1, 'a')",
        f"STORAGE FLUSH TABLE {ns}_2.renamed",
        f"DROP TABLE {ns}_2.other",
        f"DROP NAMESPACE {ns}_2 CASCADE",
        f"CREATE STORAGE {ns} TYPE filesystem PATH '{tmp_path}/cold'",
        f"ALTER STORAGE {ns} SET NAME 'another'",
        "ALTER STORAGE local SET NAME 'here'",
        f"DROP STORAGE {ns}",
    ):
        root.run(statement)
        for table, result in results.items():
            wait_same(root, f"SELECT * FROM system.{table}", result)
    everything = json.dumps(ws.messages)
    assert "$2" not in everything, "no hash of a password"
    assert USER_PASSWORD not in everything


def test_what_is_told_of_a_user(server, root, ws, ns):
    name = f"{ns}_u"
    users = subscribe(ws, "users", f"WHERE user_id = '{name}'")
    root.run(f"CREATE USER {name} WITH PASSWORD '{USER_PASSWORD}' ROLE user")
    root.run(f"ALTER USER {name} SET ROLE dba")
    root.run(f"DROP USER {name}")
    users.live.wait_changes(3)
    ws.round_trip()
    created, altered, dropped = users.live.changes
    assert created["change_type"] == "insert"
    row = created["rows"][0]
    assert (row["role"], row["password_hash"], row["deleted_at"]) == ("user", "***", None)
    assert altered["change_type"] == "update"
    assert (altered["rows"][0]["role"], altered["old_values"][0]["role"]) == ("dba", "user")
    assert altered["old_values"][0].keys() == {"user_id", "role", "updated_at", "_seq"}
    assert dropped["change_type"] == "update", "it is there, and deleted_at is set"
    assert dropped["rows"][0]["deleted_at"] is not None
    seqs = [int(change_row(change)["_seq"]) for change in users.live.changes]
    assert sorted(set(seqs)) == seqs
    after = len(users.live.changes)
    root.run("ALTER USER root SET EMAIL 'root@example.org'")  # Not one that the WHERE takes.
    ws.round_trip("second")
    assert len(users.live.changes) == after


def test_rows_come_into_the_filter_and_leave_it(server, root, ws, ns):
    server.user(f"{ns}_u")
    admins = subscribe(ws, "users", f"WHERE role IN ('dba', 'system') AND user_id LIKE '{ns}%'", "user_id, role")
    assert admins.live.rows == []
    for role in ("dba", "service", "system", "user"):
        root.run(f"ALTER USER {ns}_u SET ROLE {role}")
    admins.live.wait_changes(4)
    assert [(kind, row["role"]) for kind, row in told(admins)] == [
        ("insert", "dba"),
        ("delete", "dba"),
        ("insert", "system"),
        ("delete", "system"),
    ]
    assert set(told(admins)[0][1]) == {"user_id", "role", "_seq"}


def test_tables_of_a_namespace_are_counted(server, root, ws, ns):
    root.run(f"CREATE SHARED TABLE {ns}.before (id INT PRIMARY KEY)")
    namespaces = subscribe(ws, "namespaces", f"WHERE namespace_id LIKE '{ns}%'", "namespace_id, table_count")
    assert [(r["namespace_id"], r["table_count"]) for r in namespaces.live.rows] == [(ns, 1)]
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY)")
    root.run(f"CREATE VIEW {ns}.v AS SELECT id FROM {ns}.before")
    root.run(f"ALTER TABLE {ns}.t RENAME TO u")
    root.run(f"DROP TABLE {ns}.u")
    root.run(f"DROP NAMESPACE {ns} CASCADE")
    namespaces.live.wait_changes(3)
    ws.round_trip()
    assert [(kind, row["table_count"]) for kind, row in told(namespaces)] == [("update", 2), ("update", 1), ("delete", 1)]
    assert namespaces.live.changes[0]["old_values"][0]["table_count"] == 1


def test_counts_are_right_after_a_restart():
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE a; CREATE SHARED TABLE a.t (id INT PRIMARY KEY); CREATE SHARED TABLE a.u (id INT PRIMARY KEY)")
        server.restart()
        root = server.root()
        root.run("DROP TABLE a.u; CREATE NAMESPACE b")  # Nobody is subscribed.
        with server.websocket(root) as ws:
            namespaces = subscribe(ws, "namespaces")
            root.run("CREATE SHARED TABLE a.v (id INT PRIMARY KEY); CREATE SHARED TABLE b.v (id INT PRIMARY KEY)")
            namespaces.live.wait_changes(2)
            assert [(row["name"], row["table_count"]) for _, row in told(namespaces)] == [("a", 2), ("b", 1)]
            assert [change["old_values"][0]["table_count"] for change in namespaces.live.changes] == [1, 0]
            check(root, "SELECT * FROM system.namespaces", namespaces)


def test_the_states_of_a_job_each_arrive_once(server, root, ws, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY); INSERT INTO {ns}.t VALUES (1), (2)")
    jobs = subscribe(ws, "jobs", f"WHERE idempotency_key LIKE '%{ns}%'")
    nodes = subscribe(ws, "job_nodes")
    by_status = ws.subscribe("sums", "SELECT status, count(*) AS n FROM system.jobs GROUP BY status").ready()
    counts = Result(by_status, ["status"])
    for _ in range(3):
        root.run(f"INSERT INTO {ns}.t VALUES ({root.count(ns + '.t') + 1})")
        root.flush(f"{ns}.t")
    states = {}
    wait_until(lambda: sum(row["status"] == "completed" for row in jobs.rows().values()) == 3, "three flushes")
    for kind, row in told(jobs):
        states.setdefault(row["job_id"], []).append((kind, row["status"]))
    expected = [("insert", "new"), ("update", "queued"), ("update", "running"), ("update", "completed")]
    assert list(states.values()) == [expected] * 3
    for result, sql in (
        (jobs, f"SELECT * FROM system.jobs WHERE idempotency_key LIKE '%{ns}%'"),
        (nodes, "SELECT * FROM system.job_nodes"),
        (counts, "SELECT status, count(*) AS n FROM system.jobs GROUP BY status"),
    ):
        wait_same(root, sql, result)


def test_the_newest_of_them(server, root, ws, ns):
    sql = "SELECT namespace_id, created_at FROM system.namespaces ORDER BY created_at DESC LIMIT 3"
    newest = Result(ws.subscribe("top", sql).ready(), ["namespace_id"])
    for i in range(5):
        root.run(f"CREATE NAMESPACE {ns}_{i}")
    for i in (4, 2):
        root.run(f"DROP NAMESPACE {ns}_{i}")
    wait_same(root, sql, newest)
    assert len(newest.live.changes) >= 10


def test_subscriptions_that_begin_amid_changes(server, root, ns):
    stop = threading.Event()

    def change(number):
        with server.root() as client:
            count = 0
            while not stop.is_set():
                name = f"{ns}_{number}_{count % 7}"
                client.run(f"CREATE NAMESPACE {name}; CREATE SHARED TABLE {name}.t (id INT PRIMARY KEY)")
                client.run(f"ALTER USER {ns}_w{number} SET EMAIL 'x{count}@example.org'")
                client.run(f"ALTER TABLE {name}.t ADD COLUMN v TEXT; DROP NAMESPACE {name} CASCADE")
                count += 1
                stop.wait(0.05 * (SLOWDOWN - 1))  # what delivers changes must not be outrun for good

    for number in range(2):
        server.user(f"{ns}_w{number}")
    threads = [threading.Thread(target=change, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    sockets, results = [], []
    try:
        for round_number in range(6):
            ws = server.websocket(root)
            sockets.append(ws)
            for table in ("namespaces", "users", "columns", "schemas"):
                # A query of its own each time: else it begins with the result that is there already.
                where = f"WHERE {KEYS[table][0]} <> '{round_number}'"
                results.append((f"SELECT * FROM system.{table} {where}", subscribe(ws, table, where)))
        wait_until(lambda: all(result.live.changes for _, result in results[:4]), "changes behind the first snapshots")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for sql, result in results:
        wait_same(root, sql, result)
    for ws in sockets:
        ws.close()


def test_who_may(server, root, alice, ns):
    for client in (alice, server.user(f"{ns}_service", "service")):
        with server.websocket(client) as ws:
            for table in (*KEYS, "live", "settings"):
                ws.subscribe(table, f"SELECT * FROM system.{table}")
                assert "require 'dba' or 'system' role" in ws.wait_error(table, "UNAUTHORIZED")["message"]
    dba = server.user(f"{ns}_dba", "dba")
    with server.websocket(dba) as ws:
        users = subscribe(ws, "users", f"WHERE user_id = '{ns}_x'")
        root.run(f"CREATE USER {ns}_x WITH PASSWORD '{USER_PASSWORD}' ROLE user")
        users.live.wait_changes(1)
        root.run(f"ALTER USER {ns}_dba SET ROLE user")
        assert ws.wait_closed()[0] == 1008


@pytest.mark.parametrize(
    "sql, options, code, message",
    [
        ("SELECT * FROM system.live", {}, "UNSUPPORTED", "system.live is computed when it is read"),
        ("SELECT * FROM system.transactions", {}, "UNSUPPORTED", "system.jobs"),
        ("SELECT * FROM system.manifest", {}, "UNSUPPORTED", "cannot be subscribed to"),
        ("SELECT * FROM system.settings", {}, "UNSUPPORTED", "cannot be subscribed to"),
        ("SELECT * FROM system.stats", {}, "UNSUPPORTED", "cannot be subscribed to"),
        ("SELECT * FROM system.datatypes", {}, "UNSUPPORTED", "cannot be subscribed to"),
        ("SELECT * FROM information_schema.tables", {}, "UNSUPPORTED", "cannot be subscribed to"),
        ("SELECT * FROM system.nothing", {}, "NOT_FOUND", "system.nothing"),
        ("SELECT nothing FROM system.users", {}, "INVALID_SQL", "nothing"),
        ("SELECT * FROM system.users WHERE _seq > 5", {}, "UNSUPPORTED", "Column '_seq' does not exist"),
        ("SELECT * FROM system.users WHERE created_at > NOW()", {}, "INVALID_SQL", "time"),
        ("SELECT * FROM system.users", {"from": 5}, "CURSOR_TOO_OLD", "`from`"),
        ("SELECT * FROM system.users", {"last_rows": 5}, "UNSUPPORTED", "last_rows"),
    ],
)
def test_what_is_refused(ws, sql, options, code, message):
    ws.subscribe("s", sql, options)
    assert message in ws.wait_error("s", code)["message"]


def test_changes_only_and_rows_in_batches(server, root, ws, ns):
    # A query of its own: one that has subscribers already may be about to tell of the test's namespace.
    sql = f"SELECT * FROM system.namespaces WHERE name <> '{ns}_none'"
    none = ws.subscribe("none", sql, None).ready()
    paged = ws.subscribe("paged", sql, {"batch_size": 1}).ready()
    assert none.rows == [] and len(paged.batches) == len(paged.rows) > 1
    root.run(f"CREATE NAMESPACE {ns}_more")
    for live in (none, paged):
        assert [change_row(m)["name"] for m in live.wait_changes(1)] == [f"{ns}_more"]


def test_listed_and_killed(server, root, ws, ns):
    jobs = ws.subscribe("the jobs", "SELECT * FROM system.system_jobs WHERE status = 'failed'", {}).ready()
    listed = "SELECT live_id, table_name FROM system.live WHERE namespace_id = 'system' AND subscription_id = 'the jobs'"
    (row,) = root.dicts(listed)
    assert row["table_name"] == "jobs"
    root.run(f"KILL LIVE QUERY '{row['live_id']}'")
    ws.wait_error("the jobs", "KILLED")
    wait_until(lambda: not root.rows(listed), "its end")
    assert not jobs.changes


def test_over_http(root, alice):
    row = root.dicts("SUBSCRIBE TO system.jobs WHERE status = 'failed'")[0]
    assert row["subscription"]["sql"] == "SELECT * FROM system.jobs WHERE status = 'failed'"
    alice.fails("SUBSCRIBE TO system.jobs", status=403)
