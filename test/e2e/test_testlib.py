"""The harness itself, without a server: a test that cannot fail proves nothing."""

import asyncio
import collections
import gzip
import json
import pathlib
import socket
import sys
import threading

import pytest
import websockets
from kalam_testlib import Client, LoadThread, WsClient, activity, refuse_failures, tokens, tour
from kalam_testlib.server import ServerConfig
from kalam_testlib.ws_client import Replica

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import sql_runner  # noqa: E402


def check_shape(events):
    assert len(events) == activity.EVENTS == len({event["event_id"] for event in events})
    members = collections.Counter(event["member"] for event in events)
    channels = collections.Counter(event["channel"] for event in events)
    assert (len(members), len(channels)) == (activity.MEMBERS, activity.CHANNELS)
    assert members.most_common(1)[0][1] > 500, "activity is skewed"
    assert sorted(members.values())[len(members) // 2] <= 4, "most members do little"
    assert channels.most_common(1)[0][1] > 2000
    assert all(set(event) == set(activity.COLUMNS) for event in events)
    assert [event["sent_at"] for event in events] == sorted(event["sent_at"] for event in events)
    assert all(0 <= event["files_changed"] <= 889 for event in events)


def test_generated_activity_has_the_shape_of_the_real_one():
    events = activity.generate()
    check_shape(events)
    assert events == activity.generate(), "the same every time"
    assert any("'" in event["body"] for event in events) and any(ord(c) > 127 for e in events for c in e["body"])


@pytest.mark.skipif(not activity.PATH.exists(), reason="the real data is not beside this repository")
def test_real_activity_has_that_shape_too():
    check_shape(activity.load())


def test_activity_values():
    assert activity.micros("2012-08-01T23:55:39Z") == 1343865339000000
    event = dict(zip(activity.COLUMNS, ("e", "m", "c", "it's", 3, "1970-01-01T00:00:01Z")))
    assert activity.values([event, event]) == ", ".join(["('e', 'm', 'c', 'it''s', 3, '1970-01-01T00:00:01Z')"] * 2)
    assert activity.stored(event) == ("e", "m", "c", "it's", 3, 1000000)


def test_tokens_are_real_json_web_tokens():
    # The example that jwt.io shows.
    token = tokens.sign({"sub": "1234567890", "name": "John Doe", "iat": 1516239022}, secret="your-256-bit-secret")
    assert token.startswith(
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0"
    )
    assert token.endswith(".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c")
    assert tokens.claims_of(token)["name"] == "John Doe"
    assert tokens.sign({"sub": "1"}, algorithm="none").endswith(".eyJzdWIiOiIxIn0.")


def test_configuration_text():
    text = ServerConfig(auth={"bcrypt_cost": 5}, security={"cors": None}).text("/d")
    assert "[auth]\n" in text and "bcrypt_cost = 5\n" in text and 'data_path = "/d"' in text and "cors" not in text


def change(kind, key, seq, old_seq=None, **old):
    row = {"id": key, "_seq": str(seq)}
    if kind == "delete":
        return {"change_type": kind, "old_values": [row]}
    made = {"change_type": kind, "rows": [row]}
    if kind == "update":
        made["old_values"] = [{"id": key, "_seq": str(old_seq), **old}]
    return made


def test_replica_accepts_what_is_right():
    replica = Replica("id")
    replica.load([{"id": 1, "_seq": "5", "a": "x"}])
    for each in (
        change("insert", 2, 6),
        change("update", 1, 7, 5, a="x"),
        change("delete", 2, 8),
        change("insert", 2, 9),
    ):
        replica.apply(each)
    assert set(replica.table) == {1, 2}


@pytest.mark.parametrize(
    "changes",
    [
        [change("insert", 1, 6)],  # is there already
        [change("insert", 2, 6), change("insert", 3, 6)],  # the same _seq twice
        [change("insert", 2, 7), change("insert", 3, 6)],  # out of order
        [change("update", 2, 6, 5)],  # not there
        [change("update", 1, 7, 4)],  # a version was missed
        [change("update", 1, 7, 5, a="y")],  # another old value
        [change("delete", 2, 6)],  # not there
        [change("insert", 2, 5)],  # part of the snapshot
    ],
)
def test_replica_refuses_what_is_wrong(changes):
    replica = Replica("id")
    replica.load([{"id": 1, "_seq": "5", "a": "x"}])
    with pytest.raises(AssertionError):
        for each in changes:
            replica.apply(each)


SQL_FILE = """# comment
user alice service

statement ok
CREATE TABLE t (id INT)

skipif restart
statement error duplicate .* key
INSERT INTO t
VALUES (1)

query IT rowsort
SELECT id, name FROM t
----
1	a
2	NULL

statement count 3
DELETE FROM t WHERE id > 0
"""


def test_sql_file_is_read():
    records = sql_runner.parse(SQL_FILE)
    assert [record.kind for record in records] == ["user", "statement", "statement", "query", "statement"]
    assert records[0].words == ["alice", "service"]
    assert records[2].sql == "INSERT INTO t\nVALUES (1)" and records[2].words == ["error", "duplicate", ".*", "key"]
    assert not records[2].runs_in("restart") and records[2].runs_in("flush")
    assert records[3].expected == ["1\ta", "2\tNULL"]


@pytest.mark.parametrize(
    "text",
    [
        "statement maybe\nSELECT 1",
        "query II\nSELECT 1",
        "query X\nSELECT 1\n----\n1",
        "statement ok",
        "hello",
        "skipif restart",
        "skipif windows\nstatement ok\nSELECT 1",
        "statement ok\nSELECT 1\n----\n1",
        "require speed",
    ],
)
def test_sql_file_with_mistakes_is_refused(text):
    with pytest.raises(sql_runner.FormatError):
        sql_runner.parse(text)


def test_every_sql_file_can_be_read():
    files = sorted((sql_runner.HERE / "sql").rglob("*.test"))
    assert len(files) > 10
    for path in files:
        records = sql_runner.parse(path.read_text())
        assert any(record.kind == "query" for record in records), path
        for record in records:
            assert all(len(line.split("\t")) == len(record.words[0]) for line in record.expected), (path, record.line)


def test_cells_are_shown_and_compared():
    shown = [sql_runner.show(cell) for cell in (None, True, "", 1.5, [1, 2], "a\tb", 7)]
    assert shown == ["NULL", "true", "(empty)", "1.5", "[1,2]", "a\\tb", "7"]
    assert sql_runner.same_cell("R", "0.3", "0.30000000000000004") and not sql_runner.same_cell("R", "0.3", "0.31")
    assert not sql_runner.same_cell("R", "NULL", "0") and not sql_runner.same_cell("T", "1.0", "1")


TOUR = """# KalamDB
```sh
not this
```
## Five-minute tour
```sh
x=5
echo one; echo "t $x"
```
```text
one
t ...
```
```sh
echo "$x http://localhost:8080"
```
## Later
```sh
nor this
```
"""


def test_tour_is_run_and_compared(tmp_path):
    found = tour.blocks(TOUR)
    assert len(found) == 2 and found[1].expected is None
    code, outputs = tour.run(found, {"http://localhost:8080": "http://h:1"}, {"PATH": "/usr/bin:/bin"}, tmp_path)
    assert (code, outputs) == (0, ["one\nt 5\n", "5 http://h:1\n"])
    assert tour.matches(found[0].expected, outputs[0])
    assert not tour.matches("one\nt 6", outputs[0]) and not tour.matches("one", outputs[0])
    assert tour.matches("a\n...\nd", "a\nb\nc\nd\n") and not tour.matches("a\n...\nd", "a\nb\nc\n")
    code, outputs = tour.run(tour.blocks(TOUR.replace("x=5", "false")), {}, {"PATH": "/usr/bin:/bin"}, tmp_path)
    assert code == 1 and outputs == [""]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "answer, is_gone",
    [
        (b"", True),
        (HEAD + b"Content-Length: 9\r\n\r\n{", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{", True),
        (b"\r\n", False),
        (b"KalamDB\r\n\r\n", False),
        (b"HTTP/1.1 OK\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", False),
        (HEAD + b"Content-Length: 0\r\n\r\n", False),
        (None, False),
    ],
    ids=["nothing", "half a body", "half a chunk", "an empty line", "no HTTP", "no status", "too much", "no body", "silence"],
)
def test_a_bad_answer_is_no_killed_server(answer, is_gone):
    """None: no answer at all, while the connection stays open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        class Loader(LoadThread):
            def work(self):
                client = Client("127.0.0.1", listener.getsockname()[1], timeout_s=10 if answer is not None else 0.01)
                assert client.sql("SELECT 1").ok

        loader = Loader()
        loader.start()
        with listener.accept()[0] as connection:
            if answer is not None:
                while b"SELECT" not in connection.recv(1 << 16):
                    pass
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_RDWR)
            loader.join()
        with pytest.raises(type(loader.failure)):
            refuse_failures([loader], may_be_gone=False)
        if is_gone:
            refuse_failures([loader], may_be_gone=True)
        else:
            with pytest.raises(type(loader.failure)):
                refuse_failures([loader], may_be_gone=True)


@pytest.fixture
def echo_port():
    """A WebSocket server that sends each text back: as text, then gzipped; at "bye" it closes with 1008."""

    async def handle(socket):
        await socket.send(json.dumps({"auth": socket.request_headers.get("Authorization")}))
        async for text in socket:
            if text == '"bye"':
                await socket.close(1008, "enough")
                return
            await socket.send(text)
            await socket.send(gzip.compress(text.encode()))

    loop = asyncio.new_event_loop()
    port = []
    started = threading.Event()

    async def serve():
        stop = loop.create_future()
        async with websockets.serve(handle, "127.0.0.1", 0, compression=None) as serving:
            port.extend((serving.sockets[0].getsockname()[1], stop))
            started.set()
            await stop

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    yield port[0]
    loop.call_soon_threadsafe(port[1].set_result, None)
    thread.join(10)


def test_websocket_client(echo_port):
    with WsClient("127.0.0.1", echo_port, "tok", wait_for_auth=False) as ws:
        assert ws.handshake.status_code == 101
        ws.send({"type": "x" * 100000})
        ws.wait_for(lambda: len(ws.messages) == 3, "both answers")
        assert ws.messages[0] == {"auth": "Bearer tok"} and ws.messages[1] == ws.messages[2] == {"type": "x" * 100000}
        assert [frame.binary for frame in ws.frames] == [False, False, True]
        ws.send_ping()
        ws.wait_for(lambda: ws.pongs, "a pong")
        ws.send("bye")
        assert ws.wait_closed() == (1008, "enough")


def test_websocket_handshake_refused(echo_port):
    ws = WsClient("127.0.0.1", echo_port, None, headers={"Sec-WebSocket-Version": "99"})
    assert ws.handshake.status_code != 101
    ws.abort()
