"""The WebSocket protocol: authentication, subscriptions, paging, filters, framing, limits."""

import gzip
import json

import pytest
from kalam_testlib import Server, ServerConfig
from kalam_testlib.ws_client import change_row, replica_of


@pytest.fixture
def table(root, ns):
    """A SHARED table that everyone may read."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT, n INT) WITH (ACCESS_LEVEL = 'PUBLIC')")
    return f"{ns}.t"


@pytest.fixture
def ws(server, root):
    with server.websocket(root) as socket:
        yield socket


# --- authentication


def test_header_authentication(server, alice):
    with server.websocket(alice) as ws:
        assert ws.handshake.status_code == 101
        assert ws.messages[0] == {"type": "auth_success", "user": "alice", "role": "user",
                                  "protocol": {"serialization": "json", "compression": "gzip"}}
        assert not ws.frames[0].binary


def test_message_authentication(server, alice, table):
    with server.websocket() as ws:
        ws.subscribe("early", f"SELECT * FROM {table}")
        assert ws.wait_error("subscribe")["code"] == "AUTH_REQUIRED"
        ws.unsubscribe("early")
        ws.next_batch("early", None)
        ws.authenticate(alice.token)
        message = ws.wait_message(lambda m: m["type"] == "auth_success")
        assert message["user"] == "alice"
        assert len(ws.messages) == 2, "next_batch and unsubscribe were ignored"
        ws.subscribe("s", f"SELECT * FROM {table}").wait_ready()
        ws.authenticate(alice.token)
        ws.wait_for(lambda: sum(m["type"] == "auth_success" for m in ws.messages) == 2, "auth_success again")


def test_bad_token_in_message(server):
    ws = server.websocket()
    ws.authenticate("nonsense")
    assert ws.wait_closed() == (1008, "Authentication failed")
    assert ws.messages == [{"type": "auth_error", "message": "Invalid credentials"}]


def test_bad_token_in_header(server):
    ws = server.websocket(server.client("nonsense"), wait_for_auth=False)
    assert ws.handshake.status_code == 101, "the upgrade succeeds; the refusal comes in-band"
    assert ws.wait_closed() == (1008, "Authentication failed")
    assert ws.messages == [{"type": "auth_error", "message": "Invalid credentials"}]


def test_timeouts():
    with Server(ServerConfig(websocket={"auth_timeout_secs": 1, "client_timeout_secs": 1, "heartbeat_interval_secs": 1})) as server:
        silent = server.websocket()
        quiet = server.websocket(server.root(), keep_alive=False)
        assert silent.wait_closed() == (1008, "Authentication timeout")
        assert silent.messages == [{"type": "auth_error",
                                    "message": "Authentication timeout - no auth message received within 1 seconds"}]
        assert quiet.wait_closed() == (1000, "Heartbeat timeout")


def test_ping(ws):
    ws.send_ping(b"hello")
    ws.wait_for(lambda: ws.pongs == 1, "a pong")
    before = len(ws.messages)
    ws.send({"type": "ping"})
    ws.round_trip()
    assert len(ws.messages) == before + 1, "a ping message has no answer"


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
    assert batch["batch_control"] == {"batch_num": 0, "has_more": False, "status": "ready", "last_seq_id": int(rows[-1]["_seq"])}
    assert sorted((row["id"], row["v"], row["n"], row["_deleted"]) for row in rows) == [(1, "a", None, False), (2, "b", 20, False)]
    assert int(rows[0]["_seq"]) < int(rows[1]["_seq"]) and isinstance(rows[0]["_seq"], str)


def test_empty_table(ws, table):
    live = ws.subscribe("s", f"SELECT * FROM {table}")
    assert live.wait_ready() == []
    assert live.batches[0]["batch_control"] == {"batch_num": 0, "has_more": False, "status": "ready", "last_seq_id": None}


def test_without_options_there_is_no_snapshot(ws, root, table):
    root.run(f"INSERT INTO {table} VALUES (1, 'a', 1)")
    live = ws.subscribe("s", f"SELECT * FROM {table}", None)
    assert live.wait_ack()["batch_control"] == {"batch_num": 0, "has_more": False, "status": "ready", "last_seq_id": None}
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
    assert live.messages[-2]["type"] == "change" and live.messages.index(live.changes[0]) > live.messages.index(live.batches[-1])


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
        [("delete", 3), ("delete", 4)], [("delete", 4), ("delete", 3)])
    assert all(change_row(change)["_deleted"] is True for change in deletes)
    root.run(f"INSERT INTO {table} VALUES (8, 'live', 8)")
    assert change_row(live.wait_changes(3)[2])["id"] == 8 and len(live.changes) == 3


def test_resume_with_a_filter_deletes_what_left_it(ws, root, table):
    root.run(f"INSERT INTO {table} VALUES (1, 'in', 1), (2, 'in', 2), (3, 'out', 3)")
    sql = f"SELECT * FROM {table} WHERE v = 'in'"
    first = ws.subscribe("first", sql)
    cursor = int(first.wait_ready()[-1]["_seq"])
    root.run(f"UPDATE {table} SET v = 'out' WHERE id = 1")
    root.run(f"UPDATE {table} SET v = 'in' WHERE id = 3")
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
    assert insert == {**head, "change_type": "insert",
                      "rows": [{"id": 1, "v": "a", "n": 10, "_seq": seq[0], "_deleted": False}]}
    assert update == {**head, "change_type": "update", "rows": [{"_seq": seq[1], "id": 1, "v": "b", "n": 10}],
                      "old_values": [{"_seq": seq[0], "id": 1, "v": "a"}]}
    assert to_null == {**head, "change_type": "update", "rows": [{"_seq": seq[2], "id": 1, "v": "b"}],
                       "old_values": [{"_seq": seq[1], "id": 1, "n": 10}]}
    assert delete == {**head, "change_type": "delete",
                      "old_values": [{"id": 1, "v": "b", "n": None, "_seq": seq[3], "_deleted": True}]}
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
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, b BOOLEAN, s SMALLINT, l BIGINT, f FLOAT, d DOUBLE, t TEXT, ts TIMESTAMP, "
             "dt DATETIME, da DATE, ti TIME, j JSON, y BYTES, e EMBEDDING(2), u UUID, m DECIMAL(8,2))")
    values = ("TRUE, -1, 9007199254740993, 0.5, 0.1, 'ü', '2024-01-02', '2024-01-02', '2024-01-02', '00:00:01', '{\"a\":1}', "
              "X'00FF', '[1,0.5]', 'f47ac10b-58cc-4372-a567-0e02b2c3d479', -0.5")
    root.run(f"INSERT INTO {ns}.t VALUES (1, {values})")
    live = ws.subscribe("s", f"SELECT * FROM {ns}.t")
    live.wait_ready()
    root.run(f"INSERT INTO {ns}.t VALUES (2, {values})")
    inserted = live.wait_changes(1)[0]["rows"][0]
    expected = root.dicts(f"SELECT * FROM {ns}.t ORDER BY id")
    assert live.rows[0] == expected[0] and inserted == expected[1], "as over HTTP"
    assert inserted["l"] == "9007199254740993" and inserted["m"] == "-0.50" and inserted["y"] == [0, 255]


@pytest.mark.parametrize("where", [
    "n > 10", "n BETWEEN 5 AND 15", "v IN ('a', 'c')", "v LIKE 'a%'", "n IS NULL", "n IS NOT NULL AND v <> 'b'",
    "NOT (n > 10)", "LENGTH(v) = 1 AND n % 2 = 0", "n = 10 OR v = 'b'", "n + id > 20", "v = 'a'", "UPPER(v) = 'A'",
    "COALESCE(n, 99) > 50", "v > 'a'", "TRUE", "n = 12 AND id = 3", "id = 1",
])
def test_filter_means_what_it_means_in_select(ws, root, table, where):
    sql = f"SELECT * FROM {table} WHERE {where}"
    root.run(f"INSERT INTO {table} VALUES (1, 'a', 5), (2, 'b', NULL), (3, 'c', 12)")
    live = ws.subscribe("s", sql)
    assert sorted(row["id"] for row in live.wait_ready()) == [row[0] for row in root.rows(f"SELECT id FROM {table} WHERE {where} ORDER BY 1")]
    for change in ("INSERT INTO {} VALUES (4, 'ab', 20), (5, 'b', 10), (6, NULL, NULL)", "UPDATE {} SET n = 12 WHERE id = 1",
                   "UPDATE {} SET v = 'a', n = 8 WHERE id = 2", "UPDATE {} SET v = NULL WHERE id = 3", "UPDATE {} SET n = NULL WHERE id = 4",
                   "DELETE FROM {} WHERE id IN (1, 5)", "UPDATE {} SET n = 12 WHERE id = 3", "UPDATE {} SET n = 13 WHERE id = 6"):
        root.run(change.format(table))
    # A row behind all of them that a second subscription sees: then everything before it has been delivered too.
    marker = ws.subscribe("marker", f"SELECT * FROM {table} WHERE id = 99", None)
    marker.wait_ack()
    root.run(f"INSERT INTO {table} VALUES (99, '', 0)")
    marker.wait_changes(1)
    expected = {row["id"]: (row["v"], row["n"]) for row in root.dicts(f"SELECT * FROM {table} WHERE {where} AND id < 99")}
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


def test_stream_rows_vanish_after_their_time(server, alice, root, ns):
    from kalam_testlib import wait_until

    root.run(f"CREATE STREAM TABLE {ns}.s (id INT PRIMARY KEY, v TEXT) WITH (TTL_SECONDS = 1)")
    alice.run(f"INSERT INTO {ns}.s VALUES (1, 'short-lived')")
    wait_until(lambda: alice.count(f"{ns}.s") == 0, "the row's end", timeout_s=10)
    assert alice.rows(f"SELECT * FROM {ns}.s WHERE id = 1") == []
    alice.run(f"INSERT INTO {ns}.s VALUES (1, 'its key is free')")
    with server.websocket(alice) as ws:
        wait_until(lambda: alice.count(f"{ns}.s") == 0, "the row's end", timeout_s=10)
        assert ws.subscribe("s", f"SELECT * FROM {ns}.s").wait_ready() == []


# --- unsubscribe, replace, refuse


def test_unsubscribe(ws, root, table):
    gone = ws.subscribe("gone", f"SELECT * FROM {table}")
    kept = ws.subscribe("kept", f"SELECT * FROM {table}")
    gone.wait_ready()
    kept.wait_ready()
    root.run(f"INSERT INTO {table} VALUES (1, 'a', 1)")
    gone.wait_changes(1)
    ws.unsubscribe("gone")
    ws.unsubscribe("never was")
    ws.round_trip()
    root.run(f"INSERT INTO {table} VALUES (2, 'b', 2)")
    kept.wait_changes(2)
    ws.round_trip("after")
    assert len(gone.changes) == 1 and not gone.of_type("error")
    ws.next_batch("gone", None)
    ws.wait_error("gone", "BATCH_FETCH_FAILED")


def test_same_id_replaces(ws, root, table):
    old = ws.subscribe("s", f"SELECT * FROM {table} WHERE id < 10")
    old.wait_ready()
    new = ws.subscribe("s", f"SELECT * FROM {table} WHERE id >= 10")
    new.wait_ready()
    root.run(f"INSERT INTO {table} VALUES (1, 'old', 1), (11, 'new', 1)")
    new.wait_changes(1)
    ws.round_trip()
    assert [change_row(change)["id"] for change in new.changes] == [11]


@pytest.mark.parametrize("sql, code", [
    ("SELECT * FROM {t} JOIN {t} x ON TRUE", "INVALID_SQL"),
    ("SELECT * FROM {t}, {t} x", "INVALID_SQL"),
    ("SELECT * FROM {t} ORDER BY id", "INVALID_SQL"),
    ("SELECT v, COUNT(*) FROM {t} GROUP BY v", "INVALID_SQL"),
    ("SELECT DISTINCT v FROM {t}", "INVALID_SQL"),
    ("SELECT * FROM {t} LIMIT 5", "INVALID_SQL"),
    ("SELECT * FROM {t} OFFSET 5", "INVALID_SQL"),
    ("SELECT * FROM {t} UNION SELECT * FROM {t}", "INVALID_SQL"),
    ("WITH x AS (SELECT 1) SELECT * FROM {t}", "INVALID_SQL"),
    ("SELECT id + 1 FROM {t}", "INVALID_SQL"),
    ("SELECT COUNT(*) FROM {t}", "INVALID_SQL"),
    ("SELECT _seq FROM {t}", "INVALID_SQL"),
    ("SELECT * FROM t", "INVALID_SQL"),
    ("SELECT 1", "INVALID_SQL"),
    ("SELECT * FROM {t}; SELECT * FROM {t}", "INVALID_SQL"),
    ("INSERT INTO {t} VALUES (1, 'a', 1)", "INVALID_SQL"),
    ("SELEC", "INVALID_SQL"),
    ("", "INVALID_SQL"),
    ("SELECT * FROM {t} WHERE id IN (SELECT 1)", "INVALID_SQL"),
    ("SELECT * FROM {t} WHERE id = (SELECT MAX(id) FROM {t})", "INVALID_SQL"),
    ("SELECT * FROM {t} WHERE nope = 1", None),
    ("SELECT nope FROM {t}", None),
    ("SELECT * FROM {t}_missing", "NOT_FOUND"),
    ("SELECT * FROM read_csv('/etc/passwd')", "INVALID_SQL"),
    ("SELECT * FROM {t} WHERE v = getenv('HOME')", "INVALID_SQL"),
])
def test_refused_subscriptions(ws, root, table, sql, code):
    ws.subscribe("bad", sql.format(t=table))
    error = ws.wait_error("bad", code)
    assert set(error) == {"type", "subscription_id", "code", "message"} and error["message"]
    good = ws.subscribe("good", f"SELECT * FROM {table}")
    good.wait_ready()
    assert not [m for m in ws.messages if m["type"] == "subscription_ack" and m["subscription_id"] == "bad"]


def test_access_to_shared_tables(server, root, alice, ns):
    for level in ("PUBLIC", "PRIVATE", "RESTRICTED", "DBA"):
        root.run(f"CREATE SHARED TABLE {ns}.t_{level} (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = '{level}')")
    may = {"alice": {"PUBLIC"}, "ws_service": {"PUBLIC", "PRIVATE", "RESTRICTED"},
           "ws_dba": {"PUBLIC", "PRIVATE", "RESTRICTED", "DBA"}}
    for client in (alice, server.user("ws_service", "service"), server.user("ws_dba", "dba")):
        with server.websocket(client) as ws:
            for level in ("PUBLIC", "PRIVATE", "RESTRICTED", "DBA"):
                live = ws.subscribe(level, f"SELECT * FROM {ns}.t_{level}")
                if level in may[client.user]:
                    live.wait_ready()
                else:
                    ws.wait_error(level, "UNAUTHORIZED")


def test_empty_id(ws, table):
    ws.subscribe("", f"SELECT * FROM {table}")
    error = ws.wait_error("invalid_subscription", "INVALID_SUBSCRIPTION_ID")
    assert error["message"] == "Subscription ID cannot be empty"


def test_dropped_table(ws, root, table):
    live = ws.subscribe("s", f"SELECT * FROM {table}")
    live.wait_ready()
    root.run(f"DROP TABLE {table}")
    ws.wait_error("s", "TABLE_DROPPED")


# --- framing


def test_gzip(server, root, table):
    for query, binary in (("", True), ("?compress=false", False), ("?COMPRESS=FALSE", False), ("?compression=none", True)):
        with server.websocket(root, query=query) as ws:
            root.run(f"DELETE FROM {table} WHERE TRUE")
            live = ws.subscribe("s", f"SELECT * FROM {table}")
            live.wait_ready()
            root.run(f"INSERT INTO {table} VALUES (1, '{'x' * 1000}', 1)")
            root.run(f"UPDATE {table} SET v = 'short' WHERE id = 1")
            long, _ = live.wait_changes(2)
            frames = [frame for frame in ws.frames if frame.message in live.changes]
            assert frames[0].message == long and not frames[1].binary
            if query != "?compression=none":
                assert frames[0].binary is binary, query
            assert all(frame.size < 1200 for frame in frames)


def test_negotiated_compression_none_is_honoured(server, root, table):
    with server.websocket() as ws:
        ws.authenticate(root.token, compression="none")
        success = ws.wait_message(lambda m: m["type"] == "auth_success")
        assert success["protocol"] == {"serialization": "json", "compression": "none"}
        root.run(f"INSERT INTO {table} VALUES (1, '{'x' * 1000}', 1)")
        ws.subscribe("s", f"SELECT * FROM {table}").wait_ready()
        assert not any(frame.binary for frame in ws.frames)


def test_message_that_does_not_shrink_stays_text(server, root, table):
    import os

    with server.websocket(root) as ws:
        live = ws.subscribe("s", f"SELECT id, v FROM {table}", None)
        live.wait_ack()
        noise = "".join(chr(0x4E00 + byte % 256 + 256 * (index % 60)) for index, byte in enumerate(os.urandom(150)))
        root.run(f"INSERT INTO {table} VALUES (1, $1, 1)", [noise])
        assert live.wait_changes(1)[0]["rows"][0]["v"] == noise


def test_binary_frame_from_the_client(ws, table):
    ws.send_binary(gzip.compress(json.dumps({"type": "ping"}).encode()))
    error = ws.wait_error("protocol", "UNSUPPORTED_DATA")
    assert error["message"] == "Binary not supported"
    ws.subscribe("still", f"SELECT * FROM {table}").wait_ready()


@pytest.mark.parametrize("text", ["{", "", "null", "[]", '"x"', "5", '{"type":"nothing"}', '{"no":"type"}', '{"type":"subscribe"}',
                                  '{"type":"subscribe","subscription":{"id":5,"sql":"x"}}', '{"type":"next_batch"}', "[" * 100000])
def test_message_that_is_none(server, root, text):
    ws = server.websocket(root)
    ws.send_text(text)
    code, reason = ws.wait_closed()
    assert code == 1011 and reason.startswith("Invalid message: "), (code, reason)
    assert root.value("SELECT 1") == 1


def test_message_that_is_no_utf8(server, root):
    ws = server.websocket(root)
    ws.send_text(b'{"type":"\xff"}')
    assert ws.wait_closed()[0] in (1007, 1011)
    assert root.value("SELECT 1") == 1


def test_message_too_large(ws, table):
    ws.subscribe("s", f"SELECT * FROM {table} WHERE v = '{'x' * 1048576}'")
    error = ws.wait_error("protocol", "MESSAGE_TOO_LARGE")
    assert error["message"] == "Message exceeds maximum size of 1048576 bytes"
    ws.subscribe("still", f"SELECT * FROM {table}").wait_ready()


def test_shutdown_says_goodbye():
    with Server() as server:
        ws = server.websocket(server.root())
        server.stop()
        assert ws.wait_closed() == (1001, "Server shutting down")


def test_plain_request_to_the_websocket_path(server, root):
    response = server.client().request("GET", "/v1/ws", headers=root.auth_headers())
    assert 400 <= response.status < 500


# --- limits


def test_limits():
    limits = {"max_messages_per_sec": 20, "max_subscriptions_per_user": 3, "max_queries_per_sec": 1000000}
    with Server(ServerConfig(rate_limit=limits)) as server:
        root = server.root()
        root.run("CREATE NAMESPACE lim; CREATE USER TABLE lim.t (id INT PRIMARY KEY)")
        user = server.create_user("limited")
        with server.websocket(user) as ws, server.websocket(user) as other:
            for number in range(2):
                ws.subscribe(f"s{number}", "SELECT * FROM lim.t").wait_ready()
            other.subscribe("s2", "SELECT * FROM lim.t").wait_ready()
            other.subscribe("s3", "SELECT * FROM lim.t")
            error = other.wait_error("s3", "SUBSCRIPTION_LIMIT_EXCEEDED")
            assert error["message"] == "Maximum subscriptions reached"
            ws.unsubscribe("s0")
            ws.round_trip()
            other.subscribe("s4", "SELECT * FROM lim.t").wait_ready()
            for _ in range(100):
                other.send({"type": "ping"})
            assert other.wait_error("rate_limit", "RATE_LIMIT_EXCEEDED")["message"] == "Too many messages"


def test_subscriptions_per_connection(server, root, table):
    with server.websocket(root) as ws:
        lives = [ws.subscribe(f"s{number}", f"SELECT * FROM {table}", None) for number in range(100)]
        for live in lives:
            live.wait_ack()
        ws.subscribe("one-too-many", f"SELECT * FROM {table}", None)
        error = ws.wait_error("one-too-many", "UNSUPPORTED")
        assert "Maximum subscriptions (100) per connection exceeded" in error["message"]
        root.run(f"INSERT INTO {table} VALUES (1, 'to all', 1)")
        for live in lives:
            live.wait_changes(1)
