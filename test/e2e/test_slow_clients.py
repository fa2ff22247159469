"""Clients that take nothing for a while: their queues are bounded, they learn of it, and they miss nothing in the end; others
do not notice."""

import pytest
from kalam_testlib import SLOWDOWN, Server, ServerConfig, wait_until
from kalam_testlib.live_result import Result, check

BODY = "(SELECT string_agg(md5(CAST(random() AS TEXT)), '') FROM range(100))"  # 3,200 bytes that gzip leaves large


@pytest.fixture(scope="module")
def server():
    config = ServerConfig(
        live={"queue_bytes_per_connection": 1 << 20, "lag_timeout_secs": round(3 * SLOWDOWN)},
        websocket={"client_timeout_secs": round(30 * SLOWDOWN)},
    )
    with Server(config) as running:
        yield running


def write(root, table, first, count):
    """Rows of several kilobytes each, in commits of a hundred, until far more has been sent than sockets and queues hold."""
    for begin in range(first, first + count, 100):
        root.run(f"INSERT INTO {table} SELECT i, md5(i::TEXT) || {BODY} FROM range({begin}, {min(begin + 100, first + count)}) r(i)")


def stall(ws, root, table):
    """2,000 rows, of which a client that takes nothing any more misses some."""
    ws.reads.clear()
    for first in range(0, 2000, 400):
        write(root, table, first, 400)


def state_of(live):
    """The rows that a client has from what it was told: by key, their `_seq`. Each change is newer than what it changes."""
    rows = {}
    for message in live.messages:
        if message["type"] == "initial_data_batch" or message.get("change_type") in ("insert", "update"):
            for row in message.get("rows", []):
                assert int(row["_seq"]) > rows.get(row["id"], 0), row["id"]
                rows[row["id"]] = int(row["_seq"])
        elif message.get("change_type") == "delete":
            rows.pop(message["old_values"][0]["id"], None)
    return rows


def stored(root, table, where=""):
    return {row[0]: int(row[1]) for row in root.rows(f"SELECT id, _seq FROM {table} {where}")}


def lagged(live):
    return [m for m in live.of_type("error") if m["code"] == "LAGGED"]


@pytest.mark.parametrize("query", ["?compress=false", "?serialization=msgpack"])
def test_a_client_that_stalls_misses_nothing(server, root, ns, query):
    table, where = f"{ns}.t", "WHERE id % 10 <> 3"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, body TEXT)")
    write(root, table, 0, 50)
    with server.websocket(root, query=query, small_buffers=True) as stalled, server.websocket(root) as other:
        live = stalled.subscribe("s", f"SELECT * FROM {table} {where}").ready()
        whole = stalled.subscribe("whole", f"SELECT id FROM {table}").ready()
        reader = other.subscribe("r", f"SELECT * FROM {table}").ready()
        stalled.reads.clear()
        count = 0
        listed = "SELECT changes FROM system.live WHERE subscription_id = 's'"
        sent = -1
        while int(root.value(listed)) != sent:  # until changes pass it by
            sent = int(root.value(listed))
            count += 400
            write(root, table, 1000 + count, 400)
        root.run(f"DELETE FROM {table} WHERE id % 7 = 0; UPDATE {table} SET body = 'new' WHERE id % 11 = 0")
        root.flush(table)
        root.run(f"INSERT INTO {table} VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = 'x'")
        stalled.reads.set()
        root.run(f"INSERT INTO {table} VALUES (-1, 'last')")
        for client, one in ((stalled, live), (stalled, whole), (other, reader)):
            client.wait_for(lambda: -1 in state_of(one), "the last row", timeout_s=60)
        assert state_of(live) == stored(root, table, where)
        assert state_of(whole) == stored(root, table) == state_of(reader)
        assert lagged(live) and not lagged(reader), "only who is slow is told"
        told = int(lagged(live)[0]["message"].split("_seq ")[1].split(".")[0])
        assert told in {int(r["_seq"]) for m in live.messages for r in m.get("rows", [])}, "the last one that came"
        # It goes on as before.
        after = len(live.messages)
        root.run(f"INSERT INTO {table} VALUES (-2, 'live'); DELETE FROM {table} WHERE id = -2")
        stalled.wait_for(lambda: len(live.messages) == after + 2, "changes")
        assert [m["change_type"] for m in live.messages[after:]] == ["insert", "delete"]


def test_an_alter_while_a_client_is_behind(server, root, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, body TEXT)")
    with server.websocket(root, query="?compress=false", small_buffers=True) as ws:
        live = ws.subscribe("s", f"SELECT * FROM {table}", None).ready()
        stall(ws, root, table)
        root.run(f"ALTER TABLE {table} ADD COLUMN more INT DEFAULT 7")
        ws.reads.set()
        ws.wait_for(lambda: len(state_of(live)) == 2000, "all rows", timeout_s=60)
        acks = live.of_type("subscription_ack")
        assert len(acks) == 2 and acks[1]["schema"][-1]["name"] == "more"
        assert live.messages[-1]["rows"][0]["more"] == 7 and lagged(live)


def test_more_than_a_queue_holds_comes_while_the_snapshot_is_read(server, root, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, body TEXT)")
    write(root, table, 0, 100)
    with server.websocket(root) as ws:
        live = ws.subscribe("s", f"SELECT * FROM {table}", {"batch_size": 60})
        ws.wait_for(lambda: live.of_type("initial_data_batch"), "the first batch")
        write(root, table, 1000, 800)
        root.run(f"DELETE FROM {table} WHERE id < 1100")
        live.wait_ready()
        root.run(f"INSERT INTO {table} VALUES (-1, 'last')")
        ws.wait_for(lambda: -1 in state_of(live), "the last row")
        assert state_of(live) == stored(root, table) and not lagged(live)


def test_who_takes_nothing_for_long_is_sent_away(server, root, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, body TEXT)")
    with server.websocket(root, query="?compress=false", small_buffers=True) as ws:
        live = ws.subscribe("s", f"SELECT * FROM {table}", None).ready()
        stall(ws, root, table)
        wait_until(lambda: root.count("system.live", f"WHERE namespace_id = '{ns}'") == 0, "the end of its subscription", timeout_s=60)
        ws.reads.set()
        ws.wait_closed()
        # It resumes where it was.
        last = max(state_of(live).values())
        with server.websocket(root) as again:
            resumed = again.subscribe("s", f"SELECT * FROM {table}", {"from": last}).ready()
            assert {**state_of(live), **state_of(resumed)} == stored(root, table)


def test_a_cursor_that_is_too_old(server, root, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, body TEXT) WITH (DELETED_RETENTION_HOURS = 0)")
    write(root, table, -100, 100)
    with server.websocket(root, query="?compress=false", small_buffers=True) as ws:
        ws.subscribe("s", f"SELECT * FROM {table}", None).ready()
        stall(ws, root, table)
        root.run(f"DELETE FROM {table} WHERE id < 0")
        root.job(f"VACUUM TABLE {table}")
        ws.reads.set()
        ws.wait_message(lambda m: m["type"] == "error" and m["code"] == "CURSOR_TOO_OLD", "CURSOR_TOO_OLD")


def test_a_client_of_a_system_table_that_stalls_misses_nothing(server, root, ns):
    sql = f"SELECT * FROM system.schemas WHERE namespace_id = '{ns}'"
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY)")
    with server.websocket(root, query="?compress=false", small_buffers=True) as stalled:
        result = Result(stalled.subscribe("s", sql).ready(), ["table_id", "schema_version"])
        stalled.reads.clear()
        for i in range(30):
            # The comment is in the row of each version.
            root.run(f"ALTER TABLE {ns}.t ADD COLUMN c_{i} TEXT; COMMENT ON TABLE {ns}.t IS '{i}{'x' * 3000}'")
        root.run(f"CREATE SHARED TABLE {ns}.another (id INT PRIMARY KEY); DROP TABLE {ns}.another")
        stalled.reads.set()
        stalled.wait_for(lambda: lagged(result.live), "it is told that it fell behind")
        wait_until(lambda: len(result.rows()) == len(root.rows(sql)), "what it has missed", timeout_s=60)
        check(root, sql, result)
