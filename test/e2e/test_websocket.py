"""The WebSocket protocol: authentication, what may be subscribed to, framing, limits."""

import gzip
import json
import os

import msgpack
import pytest
from kalam_testlib import Server, ServerConfig, tokens, wait_until
from kalam_testlib.ws_client import change_row


# --- authentication


def test_header_authentication(server, alice):
    with server.websocket(alice) as ws:
        assert ws.handshake.status_code == 101
        assert ws.messages[0] == {
            "type": "auth_success",
            "user": "alice",
            "role": "user",
            "protocol": {"serialization": "json", "compression": "gzip"},
        }
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


def token_for(seconds, user="alice", role="user"):
    """A token that is accepted for about so long: 60 s behind its expiry."""
    return tokens.sign(tokens.claims(user, role, valid_s=seconds - 60))


EXPIRED = (1008, "The token has expired; connect again with a new one")


def test_a_socket_ends_with_its_token(server, alice, bob, table):
    lasting = tokens.sign(tokens.claims("bob", "user", exp=2**63 - 1))  # Beyond what a clock can tell.
    with server.websocket() as ws, server.websocket(server.client(lasting)) as other:
        ws.authenticate(token_for(3))
        ws.subscribe("s", f"SELECT * FROM {table}").wait_ready()
        assert ws.wait_closed() == EXPIRED
        assert not [m for m in ws.messages if m["type"] in ("error", "auth_error")]
        other.subscribe("s", f"SELECT * FROM {table}").wait_ready()


def test_the_expired_token_is_refused_by_requests_then(server, alice):
    client = server.client(token_for(3))
    with server.websocket(client) as ws:
        assert client.sql("SELECT 1").status == 200
        assert ws.wait_closed() == EXPIRED
        assert client.sql("SELECT 1").code == "TOKEN_EXPIRED"


def test_another_token_of_the_user_keeps_a_socket_open(server, root, alice, bob, table):
    with server.websocket(server.client(token_for(4))) as ws, server.websocket(server.client(token_for(4))) as unchanged:
        live = ws.subscribe("s", f"SELECT * FROM {table}").ready()
        ws.authenticate(token_for(9))
        ws.wait_for(lambda: sum(m["type"] == "auth_success" for m in ws.messages) == 2, "auth_success again")
        ws.authenticate(token_for(2))  # The later expiry counts.
        ws.wait_for(lambda: sum(m["type"] == "auth_success" for m in ws.messages) == 3, "auth_success again")
        refused = [bob.token, "nonsense", token_for(-3), root.token, tokens.sign(tokens.claims("alice", "dba"))]
        for count, token in enumerate(refused, 1):
            unchanged.authenticate(token)
            unchanged.wait_for(
                lambda: sum(m["type"] == "auth_error" for m in unchanged.messages) == count, "auth_error"
            )
        errors = [m["message"] for m in unchanged.messages if m["type"] == "auth_error"]
        assert errors[0] == "The token is another user's; this socket stays that of 'alice'" == errors[3]
        assert errors[1] == errors[2] == errors[4] == "Invalid credentials"
        assert unchanged.wait_closed() == EXPIRED
        root.run(f"INSERT INTO {table} VALUES (1, 'still here', 1)")
        live.wait_changes(1)
        assert ws.wait_closed() == EXPIRED


# --- MessagePack


def test_messagepack_tells_what_json_does(server, root, alice, ns):
    root.run(f"CREATE USER TABLE {ns}.m (id INT PRIMARY KEY, big BIGINT, real DOUBLE, text TEXT, doc JSON, at TIMESTAMP)")
    row = "{0}, 9007199254740993, 1.5, 'é' || repeat('x', 300), '{{\"a\":[1,null]}}', NULL"
    alice.run(f"INSERT INTO {ns}.m SELECT " + row.format("i") + " FROM GENERATE_SERIES(1, 5) AS s(i)")
    received = []
    for options in ({}, {"query": "?serialization=msgpack"}, {"query": "?serialization=msgpack&compress=false"}):
        with server.websocket(alice, **options) as ws:
            live = ws.subscribe("s", f"SELECT * FROM {ns}.m WHERE id < 100", {"batch_size": 2}).ready()
            alice.run(f"INSERT INTO {ns}.m VALUES ({row.format(50)})")
            alice.run(f"UPDATE {ns}.m SET real = 0.1 WHERE id = 50; DELETE FROM {ns}.m WHERE id = 50")
            ws.wait_for(lambda: len(live.of_type("change")) == 3, "three changes")
            received.append([{**m, "subscription_id": ""} for m in live.messages])
            if options:
                assert ws.messages[0]["protocol"]["serialization"] == "msgpack"
                assert all(f.binary and not f.is_json for f in ws.frames[1:]) and not ws.frames[0].binary
    without_seq = [json.dumps(m).replace("_seq", "") for m in received[1]]
    assert len(without_seq) == 7 and [list(m) for m in received[0]] == [list(m) for m in received[1]]
    assert received[0][:4] == received[1][:4] == received[2][:4], "the acknowledgement and the snapshot"
    for other in received[1:]:
        for ours, theirs in zip(received[0][4:], other[4:]):
            for message in (ours, theirs):
                for one in message.get("rows", []) + message.get("old_values", []):
                    one.pop("_seq", None)
            assert ours == theirs


def test_messagepack_that_is_none(server, alice, table):
    with server.websocket() as ws:
        ws.authenticate(alice.token, serialization="msgpack")
        ws.wait_message(lambda m: m["type"] == "auth_success")
        bad = [b"", b"\xc1", b"\x81", b"\x91" * 100_000, b"\x81\xa1a" * 50_000, b"\x1f\x8bnot gzip"]
        bad.append(gzip.compress(b"\xc0" * (64 << 20)))  # a bomb
        for payload in bad:
            after = len(ws.messages)
            ws.send_binary(payload)
            error = ws.wait_message(lambda m: m["type"] == "error", "an error", after)
            assert (error["subscription_id"], error["code"]) == ("protocol", "UNSUPPORTED_DATA"), payload[:20]
        assert all(frame.is_json for frame in ws.frames), "errors are always JSON"
        ws.send_binary(gzip.compress(msgpack.packb({"type": "ping"})))
        ws.send_text(json.dumps({"type": "ping"}))
        ws.subscribe("s", f"SELECT * FROM {table}").wait_ready()
        ws.send_binary(msgpack.packb({"type": "nonsense"}))
        assert ws.wait_closed()[0] == 1011


# --- system.live, KILL LIVE QUERY


def test_live_queries_are_listed_and_killed(server, root, alice, bob, ns):
    root.run(f"CREATE USER TABLE {ns}.k (id INT PRIMARY KEY)")
    listed = f"SELECT * FROM system.live WHERE namespace_id = '{ns}' ORDER BY live_id"
    with server.websocket(alice) as ws, server.websocket(bob) as other:
        sql = f"SELECT * FROM {ns}.k WHERE id > 0"
        first = ws.subscribe("a-1", sql, {"batch_size": 5}).ready()
        ws.subscribe("a-2", sql, None).ready()
        other.subscribe("b", sql).ready()
        alice.run(f"INSERT INTO {ns}.k VALUES (1), (2), (-1)")
        ws.wait_for(lambda: len(first.of_type("change")) == 2, "both changes")
        rows = root.dicts(listed)
        assert [(r["subscription_id"], r["user_id"], r["changes"]) for r in rows] == [
            ("a-1", "alice", "2"),
            ("a-2", "alice", "2"),
            ("b", "bob", "0"),
        ]
        assert rows[0]["live_id"] == f"alice-{rows[0]['connection_id']}-a-1" and len(rows[0]["connection_id"]) == 32
        assert rows[0]["connection_id"] == rows[1]["connection_id"] != rows[2]["connection_id"]
        assert rows[0]["query"] == sql and rows[0]["options"] == '{"batch_size":5}' and rows[1]["options"] is None
        assert rows[0]["table_name"] == "k" and rows[0]["status"] == "active"
        assert rows[0]["created_at"] <= rows[0]["last_update"] and rows[0]["created_at"] <= rows[0]["last_ping_at"]

        bob.fails(f"KILL LIVE QUERY '{rows[0]['live_id']}'", status=403)
        alice.fails("SELECT * FROM system.live", status=403)
        assert alice.result(f"KILL LIVE QUERY '{rows[0]['live_id']}'")["message"] == f"Live query killed: {rows[0]['live_id']}"
        ws.wait_error("a-1", "KILLED")
        root.run(f"KILL LIVE QUERY '{rows[2]['live_id']}'")
        other.wait_error("b", "KILLED")
        root.fails(f"KILL LIVE QUERY '{rows[2]['live_id']}'", f"Live query {rows[2]['live_id']} not found")
        assert [r["subscription_id"] for r in root.dicts(listed)] == ["a-2"]
        alice.run(f"INSERT INTO {ns}.k VALUES (3)")
        ws.wait_message(lambda m: m["type"] == "change" and m["subscription_id"] == "a-2" and m["rows"][0]["id"] == 3)
        assert len(first.of_type("change")) == 2
    wait_until(lambda: not root.rows(listed), "the end of all subscriptions")


def test_timeouts():
    with Server(
        ServerConfig(websocket={"auth_timeout_secs": 1, "client_timeout_secs": 3, "heartbeat_interval_secs": 1})
    ) as server:
        silent = server.websocket()
        quiet = server.websocket(server.root(), keep_alive=False)
        assert silent.wait_closed() == (1008, "Authentication timeout")
        assert silent.messages == [
            {"type": "auth_error", "message": "Authentication timeout - no auth message received within 1 seconds"}
        ]
        assert quiet.wait_closed() == (1000, "Heartbeat timeout")


def test_ping(ws):
    ws.send_ping(b"hello")
    ws.wait_for(lambda: ws.pongs == 1, "a pong")
    before = len(ws.messages)
    ws.send({"type": "ping"})
    ws.round_trip()
    assert len(ws.messages) == before + 1, "a ping message has no answer"


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


@pytest.mark.parametrize(
    "sql, code",
    [
        ("SELECT * FROM {t} JOIN {t} x ON TRUE", "INVALID_SQL"),
        ("SELECT * FROM {t}, {t} x", "INVALID_SQL"),
        ("SELECT * FROM {t} ORDER BY id", "INVALID_SQL"),
        ("SELECT v, COUNT(*) FROM {t}", "INVALID_SQL"),
        ("SELECT DISTINCT v FROM {t}", "INVALID_SQL"),
        ("SELECT * FROM {t} LIMIT 5", "INVALID_SQL"),
        ("SELECT * FROM {t} OFFSET 5", "INVALID_SQL"),
        ("SELECT * FROM {t} UNION SELECT * FROM {t}", "INVALID_SQL"),
        ("WITH x AS (SELECT 1) SELECT * FROM {t}", "INVALID_SQL"),
        ("SELECT id + 1 FROM {t}", "INVALID_SQL"),
        ("SELECT COUNT(*) + 1 FROM {t}", "INVALID_SQL"),
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
    ],
)
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
    may = {
        "alice": {"PUBLIC"},
        "ws_service": {"PUBLIC", "PRIVATE", "RESTRICTED"},
        "ws_dba": {"PUBLIC", "PRIVATE", "RESTRICTED", "DBA"},
    }
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


def test_dropped_table_is_cleaned_up_though_its_reader_paused(ws, root, table):
    """The rows that a client has not asked for yet hold up nothing: jobs run one after another."""
    root.run(f"INSERT INTO {table} (id) VALUES (1), (2)")
    live = ws.subscribe("s", f"SELECT * FROM {table}", {"batch_size": 1})
    ws.wait_for(lambda: live.batches, "the first batch")
    job = root.result(f"DROP TABLE {table}")["message"].rsplit(" ", 1)[1]
    status = f"SELECT status FROM system.jobs WHERE job_id = '{job}'"
    wait_until(lambda: root.value(status) == "completed", "the clean-up of the table")


# --- framing


def test_gzip(server, root, table):
    for query, binary in (
        ("", True),
        ("?compress=false", False),
        ("?COMPRESS=FALSE", False),
        ("?compression=none", True),
    ):
        with server.websocket(root, query=query) as ws:
            root.run(f"DELETE FROM {table} WHERE TRUE")
            live = ws.subscribe("s", f"SELECT * FROM {table}")
            live.wait_ready()
            root.run(f"INSERT INTO {table} VALUES (1, '{'x' * 1000}', 1)")
            root.run(f"UPDATE {table} SET v = 'short' WHERE id = 1")
            long, _ = live.wait_changes(2)
            frames = [frame for frame in ws.frames if frame.message in live.changes]
            assert frames[0].message == long
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


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "null",
        "[]",
        '"x"',
        "5",
        '{"type":"nothing"}',
        '{"no":"type"}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","subscription":{"id":5,"sql":"x"}}',
        '{"type":"next_batch"}',
        "[" * 100000,
    ],
)
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
    limits = {"max_messages_per_sec": 20, "max_subscriptions_per_user": 3, "apply_to_loopback": True}
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
