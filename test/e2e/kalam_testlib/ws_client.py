"""A WebSocket client with a reader thread, on the protocol core of the `websockets` package.

Debian's websockets 10 has no blocking client; its core does the handshake and the framing, and this file the socket.
"""

import gzip
import json
import socket
import threading
import time

import msgpack
from websockets.client import ClientConnection
from websockets.frames import Opcode
from websockets.http11 import Response as HandshakeResponse
from websockets.uri import parse_uri

from .conditions import DEADLINE_S


class WsClosed(AssertionError):
    """The connection closed while a message was waited for."""


class Frame:
    """One message as it came: `binary` and `size` as on the wire, `message` decoded from JSON or MessagePack."""

    def __init__(self, binary, raw):
        self.binary = binary
        self.size = len(raw)
        plain = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
        self.is_json = plain.startswith(b"{")
        self.message = json.loads(plain) if self.is_json else msgpack.unpackb(plain)


class WsClient:
    """One connection. `messages` holds every message in the order of arrival; reading it needs no lock.

    With `small_buffers`, the network holds some 50 kB for a client that stalls, and not several MB."""

    def __init__(self, host, port, token=None, query="", headers=None, wait_for_auth=True, keep_alive=True, small_buffers=False):
        self.changed = threading.Condition()
        self.speaks_msgpack = "serialization=msgpack" in query
        self.messages = []
        self.frames = []
        self.closed = False
        self.ended = threading.Event()
        self.reads = threading.Event()  # cleared: nothing is taken from the socket, as by a stalled client
        self.reads.set()
        self.pongs = 0
        self.partial = []
        self.send_lock = threading.Lock()
        self.connection = ClientConnection(parse_uri(f"ws://{host}:{port}/v1/ws{query}"), max_size=None)
        self.socket = socket.socket()
        if small_buffers:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # The server's buffer goes by it.
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = self.connection.connect()
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        for name, value in (headers or {}).items():
            request.headers[name] = value
        self.connection.send_request(request)
        self.handshake = None
        self.write()
        while self.handshake is None and not self.closed:
            self.receive()
        self.socket.settimeout(None)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if keep_alive:
            threading.Thread(target=self.keep_alive, daemon=True).start()
        if token is not None and wait_for_auth:
            self.wait_message(lambda message: message["type"] == "auth_success", "auth_success")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # --- the socket

    def write(self):
        for data in self.connection.data_to_send():
            if data:
                self.socket.sendall(data)
            else:
                self.socket.shutdown(socket.SHUT_WR)

    def receive(self):
        """Reads once and handles what came."""
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        with self.send_lock:
            if data:
                self.connection.receive_data(data)
            else:
                self.connection.receive_eof()
            try:
                self.write()
            except OSError:
                pass
            events = self.connection.events_received()
        with self.changed:
            for event in events:
                self.handle(event)
            self.closed = self.closed or not data
            self.changed.notify_all()

    def handle(self, event):
        if isinstance(event, HandshakeResponse):
            self.handshake = event
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.partial.append(event)
            if event.fin:
                raw = b"".join(bytes(part.data) for part in self.partial)
                frame = Frame(self.partial[0].opcode is Opcode.BINARY, raw)
                self.partial = []
                self.frames.append(frame)
                self.messages.append(frame.message)
        elif event.opcode is Opcode.PONG and bytes(event.data) != b"keep-alive":
            self.pongs += 1

    def keep_alive(self):
        """Pings, as real clients do: a connection that is silent for ten seconds is closed by the server."""
        while not self.ended.wait(3):
            try:
                self.send_ping(b"keep-alive")
            except Exception:  # Closed by now.
                return

    def read(self):
        while not self.closed:
            self.reads.wait()
            self.receive()

    def close(self):
        """Says goodbye and waits for the other side's, so that the server has let go of the subscriptions."""
        try:
            with self.send_lock:
                self.connection.send_close(1000)
                self.write()
        except Exception:  # It is closed already.
            pass
        self.reader.join(5)
        self.abort()

    def abort(self):
        """Cuts the connection without a word."""
        self.ended.set()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.reader.join(5)
        self.socket.close()

    @property
    def close_code(self):
        return self.connection.close_code

    @property
    def close_reason(self):
        return self.connection.close_reason

    # --- sending

    def send_text(self, text):
        with self.send_lock:
            self.connection.send_text(text if isinstance(text, bytes) else text.encode())
            self.write()

    def send_binary(self, data):
        with self.send_lock:
            self.connection.send_binary(data)
            self.write()

    def send_ping(self, data=b"x"):
        with self.send_lock:
            self.connection.send_ping(data)
            self.write()

    def send(self, message):
        if self.speaks_msgpack:
            self.send_binary(msgpack.packb(message))
        else:
            self.send_text(json.dumps(message))

    def authenticate(self, token, **protocol):
        protocol = {"serialization": "json", "compression": "gzip", **protocol}
        self.send({"type": "authenticate", "method": "jwt", "token": token, "protocol": protocol})
        self.speaks_msgpack = protocol["serialization"] == "msgpack"

    def next_batch(self, subscription_id, last_seq_id):
        self.send({"type": "next_batch", "subscription_id": subscription_id, "last_seq_id": last_seq_id})

    def unsubscribe(self, subscription_id):
        self.send({"type": "unsubscribe", "subscription_id": subscription_id})

    def subscribe(self, subscription_id, sql, options="all", **more):
        """Subscribes and returns a Live that pages through the snapshot. `options`: a dict, None, or "all" for {}."""
        live = Live(self, subscription_id, options is not None)
        subscription = {"id": subscription_id, "sql": sql, "options": {} if options == "all" else options, **more}
        self.send({"type": "subscribe", "subscription": subscription})
        return live

    # --- waiting

    def wait_for(self, condition, what, timeout_s=DEADLINE_S):
        """Waits until `condition()` is true; its value. Fails when the connection closes first."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                last = self.messages[-1:] or "nothing"
                if self.closed:
                    raise WsClosed(f"{what}: closed {self.close_code} {self.close_reason!r}, last message {last}")
                if left <= 0:
                    raise AssertionError(f"{what}: not after {timeout_s:g} s, last message {last}")
                self.changed.wait(left)

    def wait_message(self, matches, what="a message", after=0, timeout_s=DEADLINE_S):
        """The first message past position `after` that matches."""
        return self.wait_for(
            lambda: next((message for message in self.messages[after:] if matches(message)), None), what, timeout_s
        )

    def wait_error(self, subscription_id, code=None):
        """The next error for that subscription id; checks its code."""
        error = self.wait_message(
            lambda m: m["type"] == "error" and m["subscription_id"] == subscription_id,
            f"an error for {subscription_id}",
        )
        assert code is None or error["code"] == code, error
        return error

    def wait_closed(self, timeout_s=DEADLINE_S):
        """Waits for the server to close; (code, reason)."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while not self.closed:
                left = deadline - time.monotonic()
                assert left > 0, f"still open after {timeout_s:g} s"
                self.changed.wait(left)
        return self.close_code, self.close_reason

    def round_trip(self, name="round-trip"):
        """Returns once the server has handled everything sent so far and its answers are here: messages are answered in
        order, and next_batch for an unknown id is answered by an error."""
        after = len(self.messages)
        self.next_batch(name, None)
        self.wait_message(lambda m: m["type"] == "error" and m.get("subscription_id") == name, name, after)


class Live:
    """What one subscription has received, checked as it is read."""

    def __init__(self, ws, subscription_id, has_snapshot=True):
        self.has_snapshot = has_snapshot
        self.ws = ws
        self.id = subscription_id
        self.first = len(ws.messages)

    @property
    def messages(self):
        return [m for m in self.ws.messages[self.first :] if m.get("subscription_id") == self.id]

    def of_type(self, kind):
        return [m for m in self.messages if m["type"] == kind]

    @property
    def ack(self):
        return self.of_type("subscription_ack")[0]

    @property
    def batches(self):
        return self.of_type("initial_data_batch")

    @property
    def changes(self):
        return self.of_type("change")

    @property
    def rows(self):
        """The rows of the snapshot so far."""
        return [row for batch in self.batches for row in batch["rows"]]

    def refuse_error(self):
        errors = self.of_type("error")
        assert not errors, f"subscription {self.id}: {errors[0]}"

    def wait_ack(self):
        self.ws.wait_for(lambda: self.of_type("subscription_ack") or self.of_type("error"), f"the ack of {self.id}")
        self.refuse_error()
        return self.ack

    def wait_ready(self):
        """Pages through the snapshot to its end; the rows."""
        self.wait_ack()
        seen = 0
        while True:
            self.ws.wait_for(lambda: len(self.batches) > seen or self.of_type("error"), f"batch {seen} of {self.id}")
            self.refuse_error()
            control = self.batches[seen]["batch_control"]
            seen += 1
            if not control["has_more"]:
                return self.rows
            self.ws.next_batch(self.id, control["last_seq_id"])

    def ready(self):
        """Waits until it is live; itself."""
        if self.has_snapshot:
            self.wait_ready()
        else:
            self.wait_ack()
        return self

    def wait_changes(self, count):
        """At least that many changes; all that are here."""
        self.ws.wait_for(lambda: len(self.changes) >= count or self.of_type("error"), f"{count} changes of {self.id}")
        self.refuse_error()
        return self.changes


def change_row(change):
    """The row that a change speaks of: the new one, or the old one of a delete."""
    return (change.get("rows") or change.get("old_values"))[0]


class Replica:
    """A copy of a table as a subscriber builds it: the snapshot, then each change. Fails on anything out of order, twice
    or out of nowhere."""

    def __init__(self, key):
        self.key = key
        self.table = {}
        self.last_seq = 0

    def key_of(self, row):
        return row[self.key]

    def load(self, rows):
        for row in rows:
            seq = int(row["_seq"])
            assert seq > self.last_seq, f"snapshot row out of _seq order: {row} after {self.last_seq}"
            self.last_seq = seq
            assert self.key_of(row) not in self.table, f"snapshot row twice: {row}"
            self.table[self.key_of(row)] = row

    def apply(self, change):
        row = change_row(change)
        key, seq = self.key_of(row), int(row["_seq"])
        assert seq > self.last_seq, f"change out of _seq order or twice: {change} after {self.last_seq}"
        self.last_seq = seq
        kind = change["change_type"]
        if kind == "insert":
            assert key not in self.table, f"insert of a row that is there: {change}"
            assert "old_values" not in change, change
            self.table[key] = row
        elif kind == "update":
            before = self.table.get(key)
            assert before is not None, f"update of a row that is not there: {change}"
            old = change["old_values"][0]
            assert int(old["_seq"]) == int(before["_seq"]), f"update skips a version: {change}, had {before}"
            for column, value in old.items():
                assert before.get(column) == value, f"old value of {column} is wrong: {change}, had {before}"
            self.table[key] = row
        else:
            assert kind == "delete", change
            assert "rows" not in change, change
            assert self.table.pop(key, None) is not None, f"delete of a row that is not there: {change}"

    def values(self, columns):
        """{key: tuple of those columns}; a column that is absent from a change is NULL."""
        return {key: tuple(row.get(column) for column in columns) for key, row in self.table.items()}


def replica_of(live, key="id"):
    """A Replica of all that a subscription has received so far."""
    replica = Replica(key)
    replica.load(live.rows)
    for change in live.changes:
        replica.apply(change)
    return replica
