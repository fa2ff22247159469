"""Subscriptions: the snapshot and its pages, resuming, changes, filters; USER, SHARED and STREAM tables."""

import threading

import pytest
from kalam_testlib import wait_until
from kalam_testlib.ws_client import change_row, replica_of


# --- snapshot


def test_subscription_and_snapshot(ws, root, table):
    root.run(f"INSERT INTO {table} VALUES (2, 'b', 20), (1, 'a', NULL)")
    live = ws.subscribe("s1", f"SELECT * FROM {table}")
    live.wait_ready()
    assert [message["type"] for message in live.messages] == ["subscription_ack", "initial_data_batch"]
    assert set(live.ack) == {"type", "subscription_id", "total_rows", "batch_control", "schema"}
    assert live.ack["schema"][0] == {"name": "id", "data_type": "Int", "index": 0, "flags": ["pk", "nn", "uq"]}
    assert [field["name"] for field in live.ack["schema"]] == ["id", "v", "n", "_seq", "_deleted"]
    batch = live.batches[0]
    assert set(batch) == {"type", "subscription_id", "rows", "batch_control"}
    assert batch["batch_control"] == live.ack["batch_control"]
    rows = batch["rows"]
    assert batch["batch_control"] == {
        "batch_num": 0,
        "has_more": False,
        "status": "ready",
        "last_seq_id": int(rows[-1]["_seq"]),
    }
    assert sorted((row["id"], row["v"], row["n"], row["_deleted"]) for row in rows) == [
        (1, "a", None, False),
        (2, "b", 20, False),
    ]
    assert int(rows[0]["_seq"]) < int(rows[1]["_seq"]) and isinstance(rows[0]["_seq"], str)


def test_batches_are_bounded_in_bytes(ws, root, table):
    """Large rows come in more batches, or what queues for the socket would end it as lagging."""
    for first in range(0, 40, 10):
        rows = ", ".join(f"({id}, '{str(id % 10) * 100_000}')" for id in range(first, first + 10))
        root.run(f"INSERT INTO {table} (id, v) VALUES {rows}")
    live = ws.subscribe("s", f"SELECT * FROM {table}")
    assert len(live.wait_ready()) == 40
    assert 4 <= len(live.batches) <= 5


def test_empty_table(ws, table):
    live = ws.subscribe("s", f"SELECT * FROM {table}")
    assert live.wait_ready() == []
    assert live.batches[0]["batch_control"] == {
        "batch_num": 0,
        "has_more": False,
        "status": "ready",
        "last_seq_id": None,
    }


def test_without_options_there_is_no_snapshot(ws, root, table):
    root.run(f"INSERT INTO {table} VALUES (1, 'a', 1)")
    live = ws.subscribe("s", f"SELECT * FROM {table}", None)
    assert live.wait_ack()["batch_control"] == {
        "batch_num": 0,
        "has_more": False,
        "status": "ready",
        "last_seq_id": None,
    }
    root.run(f"INSERT INTO {table} VALUES (2, 'b', 2)")
    live.wait_changes(1)
    assert [message["type"] for message in live.messages] == ["subscription_ack", "change"]
    ws.next_batch("s", None)
    ws.wait_error("s", "BATCH_FETCH_FAILED")


def test_batches(ws, root, table):
    root.run(f"INSERT INTO {table} SELECT i, 'v' || i, i FROM GENERATE_SERIES(1, 10) AS s(i)")
    live = ws.subscribe("s", f"SELECT * FROM {table}", {"batch_size": 4})
    live.wait_ack()
    ws.wait_for(lambda: live.batches, "the first batch")
    ws.round_trip()
    assert len(live.batches) == 1, "the client asks for each batch"
    root.run(f"INSERT INTO {table} VALUES (11, 'later', 0)")
    root.run(f"UPDATE {table} SET v = 'changed' WHERE id = 9")
    live_rows = live.wait_ready()
    controls = [batch["batch_control"] for batch in live.batches]
    assert [control["status"] for control in controls][0] == "loading" and controls[-1]["status"] == "ready"
    assert all(control["status"] == "loading_batch" for control in controls[1:-1])
    assert [control["batch_num"] for control in controls] == list(range(len(controls)))
    assert [len(batch["rows"]) for batch in live.batches][:2] == [4, 4]
    live.wait_changes(2)
    replica = replica_of(live)
    assert replica.values(["v"])[11] == ("later",) and replica.values(["v"])[9] == ("changed",)
    assert len(replica.table) == 11 and len({row["id"] for row in live_rows}) == len(live_rows)
    assert live.messages[-2]["type"] == "change" and live.messages.index(live.changes[0]) > live.messages.index(
        live.batches[-1]
    )


def test_batch_of_exactly_the_batch_size(ws, root, table):
    root.run(f"INSERT INTO {table} SELECT i, 'v', i FROM GENERATE_SERIES(1, 4) AS s(i)")
    live = ws.subscribe("s", f"SELECT * FROM {table}", {"batch_size": 4})
    live.wait_ready()
    assert len(live.batches) == 1 and not live.batches[0]["batch_control"]["has_more"]


def test_next_batch_as_text_and_from_the_start(ws, root, table):
    root.run(f"INSERT INTO {table} SELECT i, 'v', i FROM GENERATE_SERIES(1, 5) AS s(i)")
    live = ws.subscribe("s", f"SELECT * FROM {table}", {"batch_size": 2})
    ws.wait_for(lambda: len(live.batches) == 1, "batch 0")
    ws.next_batch("s", str(live.batches[0]["batch_control"]["last_seq_id"]))
    ws.wait_for(lambda: len(live.batches) == 2, "batch 1")
    ws.next_batch("s", None)
    ws.wait_for(lambda: len(live.batches) == 3, "batch 2")
    assert live.batches[2]["rows"] == live.batches[0]["rows"]
    assert live.batches[1]["rows"][0] not in live.batches[0]["rows"]


def test_last_rows(ws, root, table):
    root.run(f"INSERT INTO {table} SELECT i, 'v', i FROM GENERATE_SERIES(1, 20) AS s(i)")
    root.run(f"UPDATE {table} SET v = 'newest' WHERE id = 3")
    live = ws.subscribe("s", f"SELECT * FROM {table}", {"last_rows": 3})
    rows = live.wait_ready()
    assert rows[-1]["id"] == 3 and len(rows) == 3 and not live.batches[0]["batch_control"]["has_more"]
    assert [int(row["_seq"]) for row in rows] == sorted(int(row["_seq"]) for row in rows)
    newest = root.rows(f"SELECT id FROM {table} ORDER BY _seq DESC LIMIT 3")
    assert [row["id"] for row in rows] == [row[0] for row in reversed(newest)]
    paged = ws.subscribe("p", f"SELECT * FROM {table}", {"last_rows": 10, "batch_size": 4})
    assert len(paged.wait_ready()) == 10 and paged.rows[-1]["id"] == 3
    assert ws.subscribe("all", f"SELECT * FROM {table}", {"last_rows": 500}).wait_ready().__len__() == 20
    filtered = ws.subscribe("f", f"SELECT * FROM {table} WHERE n < 5", {"last_rows": 2})
    assert filtered.wait_ready()[-1]["id"] == 3 and len(filtered.rows) == 2


@pytest.mark.parametrize("name", ["from", "from_seq_id"])
@pytest.mark.parametrize("kind", [int, str])
def test_resume(ws, root, table, name, kind):
    root.run(f"INSERT INTO {table} SELECT i, 'v', i FROM GENERATE_SERIES(1, 6) AS s(i)")
    first = ws.subscribe("first", f"SELECT * FROM {table}")
    first.wait_ready()
    cursor = first.batches[-1]["batch_control"]["last_seq_id"]
    root.run(f"UPDATE {table} SET v = 'w' WHERE id = 2")
    root.run(f"DELETE FROM {table} WHERE id IN (3, 4)")
    root.run(f"INSERT INTO {table} VALUES (7, 'new', 7)")
    root.run(f"UPDATE {table} SET v = 'x' WHERE id = 2")
    live = ws.subscribe("again", f"SELECT * FROM {table}", {name: kind(cursor)})
    assert sorted((row["id"], row["v"]) for row in live.wait_ready()) == [(2, "x"), (7, "new")], "their latest versions"
    deletes = live.wait_changes(2)
    assert [(change["change_type"], change_row(change)["id"]) for change in deletes] in (
        [("delete", 3), ("delete", 4)],
        [("delete", 4), ("delete", 3)],
    )
    assert all(change_row(change)["_deleted"] is True for change in deletes)
    root.run(f"INSERT INTO {table} VALUES (8, 'live', 8)")
    assert change_row(live.wait_changes(3)[2])["id"] == 8 and len(live.changes) == 3


@pytest.mark.parametrize("flushed", [False, True])
def test_resume_with_a_filter_deletes_what_left_it(ws, root, table, flushed):
    root.run(f"INSERT INTO {table} VALUES (1, 'in', 1), (2, 'in', 2), (3, 'out', 3)")
    sql = f"SELECT * FROM {table} WHERE v = 'in'"
    first = ws.subscribe("first", sql)
    cursor = int(first.wait_ready()[-1]["_seq"])
    root.run(f"UPDATE {table} SET v = 'out' WHERE id = 1")
    root.run(f"UPDATE {table} SET v = 'in' WHERE id = 3")
    if flushed:
        root.flush(table)
    live = ws.subscribe("again", sql, {"from": cursor})
    assert [row["id"] for row in live.wait_ready()] == [3]
    change = live.wait_changes(1)[0]
    assert change["change_type"] == "delete" and change_row(change)["id"] == 1


def test_resume_over_flush_and_restart(server, root, ns):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    with server.websocket(root) as ws:
        cursor = int(ws.subscribe("s", f"SELECT * FROM {ns}.t").wait_ready()[-1]["_seq"])
    root.flush(f"{ns}.t")
    root.run(f"DELETE FROM {ns}.t WHERE id = 1")
    root.run(f"INSERT INTO {ns}.t VALUES (4, 'd')")
    root.flush(f"{ns}.t")
    server.restart()
    with server.websocket(root) as ws:
        live = ws.subscribe("s", f"SELECT * FROM {ns}.t", {"from": cursor})
        assert [row["id"] for row in live.wait_ready()] == [4]
        assert change_row(live.wait_changes(1)[0])["id"] == 1


# --- changes


def test_change_messages(ws, root, table):
    live = ws.subscribe("s", f"SELECT * FROM {table}")
    live.wait_ready()
    root.run(f"INSERT INTO {table} VALUES (1, 'a', 10)")
    root.run(f"UPDATE {table} SET v = 'b' WHERE id = 1")
    root.run(f"UPDATE {table} SET n = NULL WHERE id = 1")
    root.run(f"UPDATE {table} SET n = NULL WHERE id = 1")
    root.run(f"DELETE FROM {table} WHERE id = 1")
    insert, update, to_null, delete = live.wait_changes(4)
    seq = [change_row(change)["_seq"] for change in (insert, update, to_null, delete)]
    head = {"type": "change", "subscription_id": "s"}
    assert insert == {
        **head,
        "change_type": "insert",
        "rows": [{"id": 1, "v": "a", "n": 10, "_seq": seq[0], "_deleted": False}],
    }
    assert update == {
        **head,
        "change_type": "update",
        "rows": [{"_seq": seq[1], "id": 1, "v": "b", "n": 10}],
        "old_values": [{"_seq": seq[0], "id": 1, "v": "a"}],
    }
    assert to_null == {
        **head,
        "change_type": "update",
        "rows": [{"_seq": seq[2], "id": 1, "v": "b"}],
        "old_values": [{"_seq": seq[1], "id": 1, "n": 10}],
    }
    assert delete == {
        **head,
        "change_type": "delete",
        "old_values": [{"id": 1, "v": "b", "n": None, "_seq": seq[3], "_deleted": True}],
    }
    assert [int(each) for each in seq] == sorted(int(each) for each in set(seq))
    ws.round_trip()
    assert len(live.changes) == 4, "an UPDATE that changes nothing is no event"


def test_projection(ws, root, table):
    root.run(f"INSERT INTO {table} VALUES (1, 'a', 1)")
    live = ws.subscribe("s", f"SELECT id, v FROM {table}")
    row = live.wait_ready()[0]
    assert set(row) == {"id", "v", "_seq"}
    assert [field["name"] for field in live.ack["schema"]] == ["id", "v"]
    root.run(f"INSERT INTO {table} VALUES (2, 'b', 2)")
    root.run(f"UPDATE {table} SET v = 'c' WHERE id = 2")
    root.run(f"DELETE FROM {table} WHERE id = 2")
    insert, update, delete = live.wait_changes(3)
    assert set(insert["rows"][0]) == {"id", "v", "_seq"}
    assert set(update["rows"][0]) == {"id", "v", "_seq"} and update["old_values"][0]["v"] == "b"
    assert "n" not in delete["old_values"][0]


def test_every_type_in_snapshot_and_change(ws, root, ns):
    root.run(
        f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, b BOOLEAN, s SMALLINT, l BIGINT, f FLOAT, d DOUBLE, t TEXT, ts TIMESTAMP, "
        "dt DATETIME, da DATE, ti TIME, j JSON, y BYTES, e EMBEDDING(2), u UUID, m DECIMAL(8,2))"
    )
    values = (
        "TRUE, -1, 9007199254740993, 0.5, 0.1, 'ü', '2024-01-02', '2024-01-02', '2024-01-02', '00:00:01', '{\"a\":1}', "
        "X'00FF', '[1,0.5]', 'f47ac10b-58cc-4372-a567-0e02b2c3d479', -0.5"
    )
    root.run(f"INSERT INTO {ns}.t VALUES (1, {values})")
    live = ws.subscribe("s", f"SELECT * FROM {ns}.t")
    live.wait_ready()
    root.run(f"INSERT INTO {ns}.t VALUES (2, {values})")
    inserted = live.wait_changes(1)[0]["rows"][0]
    expected = root.dicts(f"SELECT * FROM {ns}.t ORDER BY id")
    assert live.rows[0] == expected[0] and inserted == expected[1], "as over HTTP"
    assert inserted["l"] == "9007199254740993" and inserted["m"] == "-0.50" and inserted["y"] == [0, 255]


@pytest.mark.parametrize(
    "where",
    [
        "n > 10",
        "n BETWEEN 5 AND 15",
        "v IN ('a', 'c')",
        "v LIKE 'a%'",
        "n IS NULL",
        "n IS NOT NULL AND v <> 'b'",
        "NOT (n > 10)",
        "LENGTH(v) = 1 AND n % 2 = 0",
        "n = 10 OR v = 'b'",
        "n + id > 20",
        "v = 'a'",
        "UPPER(v) = 'A'",
        "COALESCE(n, 99) > 50",
        "v > 'a'",
        "TRUE",
        "n = 12 AND id = 3",
        "id = 1",
    ],
)
def test_filter_means_what_it_means_in_select(ws, root, table, where):
    sql = f"SELECT * FROM {table} WHERE {where}"
    root.run(f"INSERT INTO {table} VALUES (1, 'a', 5), (2, 'b', NULL), (3, 'c', 12)")
    live = ws.subscribe("s", sql)
    assert sorted(row["id"] for row in live.wait_ready()) == [
        row[0] for row in root.rows(f"SELECT id FROM {table} WHERE {where} ORDER BY 1")
    ]
    for change in (
        "INSERT INTO {} VALUES (4, 'ab', 20), (5, 'b', 10), (6, NULL, NULL)",
        "UPDATE {} SET n = 12 WHERE id = 1",
        "UPDATE {} SET v = 'a', n = 8 WHERE id = 2",
        "UPDATE {} SET v = NULL WHERE id = 3",
        "UPDATE {} SET n = NULL WHERE id = 4",
        "DELETE FROM {} WHERE id IN (1, 5)",
        "UPDATE {} SET n = 12 WHERE id = 3",
        "UPDATE {} SET n = 13 WHERE id = 6",
    ):
        root.run(change.format(table))
    # A row behind all of them that a second subscription sees: then everything before it has been delivered too.
    marker = ws.subscribe("marker", f"SELECT * FROM {table} WHERE id = 99", None)
    marker.wait_ack()
    root.run(f"INSERT INTO {table} VALUES (99, '', 0)")
    marker.wait_changes(1)
    expected = {
        row["id"]: (row["v"], row["n"]) for row in root.dicts(f"SELECT * FROM {table} WHERE {where} AND id < 99")
    }
    seen = replica_of(live).values(["v", "n"])
    seen.pop(99, None)
    assert seen == expected


def test_row_that_enters_and_leaves_the_filter(ws, root, table):
    root.run(f"INSERT INTO {table} VALUES (1, 'in', 1), (2, 'out', 2)")
    live = ws.subscribe("s", f"SELECT * FROM {table} WHERE v = 'in'")
    live.wait_ready()
    root.run(f"UPDATE {table} SET v = 'in' WHERE id = 2")
    root.run(f"UPDATE {table} SET v = 'out' WHERE id = 1")
    root.run(f"UPDATE {table} SET n = 5 WHERE id = 1")
    root.run(f"DELETE FROM {table} WHERE id = 1")
    root.run(f"UPDATE {table} SET n = 7 WHERE id = 2")
    enters, leaves, update = live.wait_changes(3)
    assert enters["change_type"] in ("insert", "update") and enters["rows"][0]["id"] == 2
    assert leaves["change_type"] == "delete" and "rows" not in leaves
    assert leaves["old_values"][0]["id"] == 1 and leaves["old_values"][0]["v"] == "in"
    assert update["change_type"] == "update" and update["rows"][0]["n"] == 7
    assert len(live.changes) == 3


def test_filter_by_the_subscriber(server, root, alice, bob, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, recipient TEXT) WITH (ACCESS_LEVEL = 'PUBLIC')")
    with server.websocket(alice) as a, server.websocket(bob) as b:
        sql = f"SELECT * FROM {ns}.t WHERE recipient = CURRENT_USER()"
        of_alice, of_bob = a.subscribe("s", sql), b.subscribe("s", sql)
        of_alice.wait_ready()
        of_bob.wait_ready()
        root.run(f"INSERT INTO {ns}.t VALUES (1, 'alice'), (2, 'bob'), (3, 'alice'), (4, 'carol')")
        assert [change_row(change)["id"] for change in of_bob.wait_changes(1)] == [2]
        assert sorted(change_row(change)["id"] for change in of_alice.wait_changes(2)) == [1, 3]


def test_user_tables_are_private(server, root, alice, bob, ns):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    with server.websocket(alice) as a, server.websocket(bob) as b, server.websocket(root) as r:
        lives = [socket.subscribe("same", f"SELECT * FROM {ns}.t") for socket in (a, b, r)]
        for live in lives:
            live.wait_ready()
        alice.run(f"INSERT INTO {ns}.t VALUES (1, 'alice')")
        root.run(f"EXECUTE AS USER 'bob' (INSERT INTO {ns}.t VALUES (1, 'bob'))")
        root.run(f"INSERT INTO {ns}.t VALUES (1, 'root')")
        for live, name in zip(lives, ("alice", "bob", "root")):
            live.wait_changes(1)
        for live, name in zip(lives, ("alice", "bob", "root")):
            live.ws.round_trip()
            assert [change_row(change)["v"] for change in live.changes] == [name]


def test_several_sockets_get_the_same(server, root, alice, table):
    sockets = [server.websocket(alice) for _ in range(5)]
    lives = [socket.subscribe(f"s{number}", f"SELECT * FROM {table}") for number, socket in enumerate(sockets)]
    for live in lives:
        live.wait_ready()
    for number in range(20):
        root.run(f"INSERT INTO {table} VALUES ({number}, 'v', {number})")
    for live in lives:
        live.wait_changes(20)
        assert [change_row(change)["id"] for change in live.changes] == list(range(20))
        assert [change["subscription_id"] for change in live.changes] == [live.id] * 20
    for socket in sockets:
        socket.close()


# --- stream tables


def test_stream_subscription(server, alice, bob, root, ns):
    root.run(f"CREATE STREAM TABLE {ns}.s (id INT PRIMARY KEY, v TEXT) WITH (TTL_SECONDS = 3600)")
    alice.run(f"INSERT INTO {ns}.s VALUES (1, 'before')")
    with server.websocket(alice) as ws:
        live = ws.subscribe("s", f"SELECT * FROM {ns}.s")
        assert [row["id"] for row in live.wait_ready()] == [1]
        bob.run(f"INSERT INTO {ns}.s VALUES (9, 'of bob')")
        alice.run(f"INSERT INTO {ns}.s VALUES (2, 'live')")
        alice.run(f"DELETE FROM {ns}.s WHERE id = 2")
        insert, delete = live.wait_changes(2)
        assert insert["change_type"] == "insert" and insert["rows"][0].keys() == {"id", "v", "_seq"}
        assert delete["change_type"] == "delete"
        old = {key: value for row in delete["old_values"] for key, value in row.items()}
        assert old["row_id"].startswith("alice:") and old["id"] == 2 and old["v"] == "live"


def test_a_stream_is_resumed_unless_rows_were_deleted(server, alice, bob, root, ns):
    """A deleted STREAM row leaves nothing, so that a subscriber who may have it cannot be told."""
    root.run(f"CREATE STREAM TABLE {ns}.s (id INT PRIMARY KEY) WITH (TTL_SECONDS = 3600)")
    alice.run(f"INSERT INTO {ns}.s VALUES (1), (2)")
    sql = f"SELECT * FROM {ns}.s"
    with server.websocket(alice) as ws:
        cursor = ws.subscribe("first", sql).ready().batches[-1]["batch_control"]["last_seq_id"]
        bob.run(f"INSERT INTO {ns}.s VALUES (1); DELETE FROM {ns}.s WHERE id = 1")
        alice.run(f"INSERT INTO {ns}.s VALUES (3)")
        assert [row["id"] for row in ws.subscribe("goes on", sql, {"from": cursor}).ready().rows] == [3]
        alice.run(f"DELETE FROM {ns}.s WHERE id < 3")
        alice.run(f"INSERT INTO {ns}.s VALUES (4)")
        ws.subscribe("too old", sql, {"from": cursor})
        ws.wait_error("too old", "CURSOR_TOO_OLD")
        anew = ws.subscribe("anew", sql).ready()
        assert [row["id"] for row in anew.rows] == [3, 4]
        cursor = anew.batches[-1]["batch_control"]["last_seq_id"]
        assert ws.subscribe("later", sql, {"from": cursor}).ready().rows == []


def test_a_table_that_is_dropped_while_one_subscribes(server, root, ns):
    """Whenever it goes, the client is told once, and nothing comes behind it."""
    with server.websocket(root) as ws:
        for number in range(40):
            table = f"{ns}.t{number}"
            root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY); INSERT INTO {table} SELECT i FROM range(50) r(i)")
            dropping = threading.Thread(target=lambda: root.run(f"DROP TABLE {table}"))
            dropping.start()
            sql = f"SELECT * FROM {table}" if number % 2 else f"SELECT count(*) AS n FROM {table}"
            live = ws.subscribe(f"s{number}", sql, {"batch_size": 10})
            dropping.join()
            ws.wait_error(live.id)
            ws.round_trip(f"behind {number}")
            told = [m["type"] for m in live.messages]
            assert told[-1] == "error" and told.count("error") == 1, live.messages


def test_stream_rows_vanish_after_their_time(server, alice, root, ns):
    root.run(f"CREATE STREAM TABLE {ns}.s (id INT PRIMARY KEY, v TEXT) WITH (TTL_SECONDS = 1)")
    alice.run(f"INSERT INTO {ns}.s VALUES (1, 'short-lived')")
    wait_until(lambda: alice.count(f"{ns}.s") == 0, "the row's end", timeout_s=10)
    assert alice.rows(f"SELECT * FROM {ns}.s WHERE id = 1") == []
    alice.run(f"INSERT INTO {ns}.s VALUES (1, 'its key is free')")
    with server.websocket(alice) as ws:
        wait_until(lambda: alice.count(f"{ns}.s") == 0, "the row's end", timeout_s=10)
        assert ws.subscribe("s", f"SELECT * FROM {ns}.s").wait_ready() == []
