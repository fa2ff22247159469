"""A client that comes back to a live result: what it had, and what it is told then, is what SELECT answers."""

import random
import time

import pytest
from kalam_testlib import Server, ServerConfig
from kalam_testlib.live_result import Result, check
from kalam_testlib.ws_client import change_row
from test_live_results import GROUPS, TOP, WHOLE, create, statement, value

SUMS = "SELECT g, count(*) AS n, sum(x) AS total FROM {t} GROUP BY g"


class Copy(Result):
    """The rows of a result as a client keeps them over its connections, each resuming from the last `_seq` it has seen."""

    def __init__(self, sql, keys):
        super().__init__(None, keys)
        self.sql = sql
        self.table, self.cursor, self.taken = {}, None, 0

    def connect(self, ws, name, cursor=None):
        cursor = self.cursor if cursor is None else cursor
        self.taken = 0
        self.live = ws.subscribe(name, self.sql, {"from": cursor} if cursor else {})
        return self

    def rows(self):
        """Takes in what has come since the last call."""
        for message in self.live.messages[self.taken :]:
            self.taken += 1
            if message["type"] == "initial_data_batch":
                for row in message["rows"]:
                    self.table[self.key(row)] = row
                    self.cursor = int(row["_seq"])
            elif message["type"] == "change":
                row = change_row(message)
                if message["change_type"] == "delete":
                    self.table.pop(self.key(row), None)
                else:
                    self.table[self.key(row)] = row
                self.cursor = int(row["_seq"])
        return self.table


def wait_same(ws, root, copy):
    def same():
        try:
            check(root, copy.sql, copy)
            return True
        except AssertionError:
            return False

    ws.wait_for(same, copy.sql)


def test_what_was_missed_is_told_and_nothing_else(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, g, x) VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30), (4, 4, 40)")
    sums = Copy(SUMS.format(t=table), ("g",))
    top = Copy(f"SELECT id, x FROM {table} ORDER BY x DESC LIMIT 3", ("id",))
    with server.websocket(root) as ws:
        for name, copy in (("sums", sums), ("top", top)):
            copy.connect(ws, name).live.ready()
            copy.rows()
        ws.abort()
    root.run(f"DELETE FROM {table} WHERE id = 2")
    root.run(f"UPDATE {table} SET x = 5 WHERE id = 3")
    root.run(f"INSERT INTO {table} (id, g, x) VALUES (5, 5, 50)")
    with server.websocket(root) as ws:
        live = sums.connect(ws, "sums").live.ready()
        assert [(m["change_type"], change_row(m)["g"], change_row(m)["total"]) for m in live.changes] == [("delete", 2, "20")]
        assert sorted((row["g"], row["total"]) for row in live.rows) == [(3, "5"), (5, "50")]
        assert live.ack["total_rows"] == 2
        live = top.connect(ws, "top").live.ready()
        assert {(m["change_type"], change_row(m)["id"]) for m in live.changes} == {("delete", 2), ("delete", 3)}
        assert sorted((row["id"], row["x"]) for row in live.rows) == [(1, 10), (5, 50)]
        wait_same(ws, root, top)
        # The same cursor again, with nothing new: no rows, and it goes on from there.
        wait_same(ws, root, sums)
        again = Copy(sums.sql, sums.keys).connect(ws, "again", sums.cursor)
        assert not again.live.ready().rows and not again.live.changes
        root.run(f"INSERT INTO {table} (id, g, x) VALUES (6, 1, 1)")
        assert [change_row(m)["total"] for m in again.live.wait_changes(1)] == ["11"]


@pytest.mark.parametrize("kind, seed", [("SHARED", 1), ("USER", 2), ("SHARED", 3)])
def test_connections_that_break_at_any_time(server, root, ns, kind, seed):
    table, chance = f"{ns}.t", random.Random(seed)
    create(root, table, kind)
    root.run(f"INSERT INTO {table} VALUES " + ", ".join(value(chance, 100 + i) for i in range(40)))
    copies = [Copy(TOP.format(t=table), ("id",)), Copy(GROUPS.format(t=table), ("g",)), Copy(WHOLE.format(t=table), ())]
    for number in range(25):
        with server.websocket(root) as ws:
            for i, copy in enumerate(copies):
                copy.connect(ws, f"c{i}")
                # Without waiting, the connection may break while the rows are on their way.
                if chance.random() < 0.8:
                    copy.live.ready()
            for _ in range(chance.randrange(3)):
                root.run(statement(table, chance))
            if chance.random() < 0.5:
                for copy in copies:
                    copy.live.ready()
                    wait_same(ws, root, copy)
            ws.abort()
        for copy in copies:
            copy.rows()
            copy.live.refuse_error()
        for _ in range(chance.randrange(3)):
            root.run(statement(table, chance))
        if number == 12:
            root.flush(table)


def test_what_is_not_known_any_more(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, g, x) VALUES (1, 1, 10)")
    sums = Copy(SUMS.format(t=table), ("g",))
    with server.websocket(root) as ws:
        sums.connect(ws, "s").live.ready()
        sums.rows()
        sums.connect(ws, "older", sums.cursor - 1)
        assert "subscribe without `from`" in ws.wait_error("older", "CURSOR_TOO_OLD")["message"]
        ws.abort()
    root.run(f"ALTER TABLE {table} ALTER COLUMN g SET DATA TYPE TEXT")
    with server.websocket(root) as ws:
        sums.connect(ws, "s")
        ws.wait_error("s", "CURSOR_TOO_OLD")
        sums.connect(ws, "new", 0).live.ready()
        assert [row["g"] for row in sums.live.rows] == ["1"]
        sums.rows()
        ws.abort()
    root.run(f"DROP TABLE {table}")
    with server.websocket(root) as ws:
        sums.connect(ws, "s")
        ws.wait_error("s", "NOT_FOUND")


def test_breaking_off_between_the_changes_of_a_commit(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, g, x) VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30)")
    sql = SUMS.format(t=table)
    with server.websocket(root) as ws:
        live = ws.subscribe("s", sql).ready()
        before = int(live.rows[0]["_seq"])
        root.run(f"BEGIN; DELETE FROM {table} WHERE id = 1; UPDATE {table} SET x = 5 WHERE id > 1; INSERT INTO {table} (id, g, x) VALUES (4, 4, 1); COMMIT")
        seqs = [int(change_row(m)["_seq"]) for m in live.wait_changes(4)]
        assert before < seqs[0] == seqs[1] == seqs[2] < seqs[3]
        for cursor, gone, changed in ((before, [1], [2, 3, 4]), (seqs[0], [1], [2, 3, 4]), (seqs[3], [], [])):
            again = ws.subscribe("again", sql, {"from": cursor}).ready()
            assert [change_row(m)["g"] for m in again.changes] == gone
            assert sorted(row["g"] for row in again.rows) == changed
            # Who breaks off behind what is gone has not got the rows.
            assert all(cursor < int(change_row(m)["_seq"]) < seqs[3] for m in again.changes)
        root.run(f"DELETE FROM {table} WHERE id IN (2, 3)")
        live.wait_changes(6)


def test_breaking_off_amid_the_batches(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, g) SELECT i, i FROM range(25) r(i)")
    sums = Copy(SUMS.format(t=table), ("g",))
    with server.websocket(root) as ws:
        sums.live = ws.subscribe("s", sums.sql, {"batch_size": 10})
        ws.wait_for(lambda: sums.live.batches, "the first batch")
        assert len(sums.rows()) == 10
        ws.abort()
    with server.websocket(root) as ws:
        sums.connect(ws, "s")
        ws.wait_error("s", "CURSOR_TOO_OLD")
        sums.table.clear()
        sums.live = ws.subscribe("again", sums.sql, {"batch_size": 10}).ready()
        assert [len(batch["rows"]) for batch in sums.live.batches] == [10, 10, 5]
        sums.taken = 0
        check(root, sums.sql, sums)
        ws.abort()
    root.run(f"UPDATE {table} SET x = 1 WHERE id >= 14")
    with server.websocket(root) as ws:
        ws.subscribe("s", sums.sql, {"batch_size": 10, "from": sums.cursor})
        assert "Too much" in ws.wait_error("s", "CURSOR_TOO_OLD")["message"]
        assert len(ws.subscribe("larger", sums.sql, {"batch_size": 11, "from": sums.cursor}).ready().rows) == 11


def test_a_system_table_is_resumed_likewise(server, root, ns):
    sql = f"SELECT * FROM system.namespaces WHERE namespace_id LIKE '{ns}%'"
    with server.websocket(root) as ws:
        live = ws.subscribe("s", sql).ready()
        root.run(f"CREATE NAMESPACE {ns}_a; CREATE NAMESPACE {ns}_b")
        cursor = int(change_row(live.wait_changes(2)[-1])["_seq"])
        ws.abort()
    root.run(f"DROP NAMESPACE {ns}_a; CREATE NAMESPACE {ns}_c; CREATE SHARED TABLE {ns}_b.t (id INT PRIMARY KEY)")
    with server.websocket(root) as ws:
        live = ws.subscribe("s", sql, {"from": cursor}).ready()
        assert [m["old_values"][0]["namespace_id"] for m in live.changes] == [f"{ns}_a"]
        assert sorted((row["namespace_id"], row["table_count"]) for row in live.rows) == [(f"{ns}_b", 1), (f"{ns}_c", 0)]


def test_results_linger_as_long_as_they_may():
    with Server(ServerConfig(live={"result_linger_secs": 1})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE l; CREATE SHARED TABLE l.t (id INT PRIMARY KEY, g INT, x INT)")
        root.run("INSERT INTO l.t VALUES (1, 1, 1)")
        sums = Copy(SUMS.format(t="l.t"), ("g",))
        with server.websocket(root) as ws:
            sums.connect(ws, "s").live.ready()
            sums.rows()
        with server.websocket(root) as ws:
            sums.connect(ws, "s").live.ready()
        time.sleep(1.2)
        with server.websocket(root) as ws:
            sums.connect(ws, "s").live.ready()  # as it is read anew: nothing has changed since the cursor
            sums.rows()
        time.sleep(1.2)
        root.run("INSERT INTO l.t VALUES (2, 2, 2)")
        with server.websocket(root) as ws:
            sums.connect(ws, "s")
            ws.wait_error("s", "CURSOR_TOO_OLD")


def test_all_results_together_have_a_bound():
    with Server(ServerConfig(live={"result_bytes_total": 1 << 19})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE b; CREATE SHARED TABLE b.t (id INT PRIMARY KEY, g INT)")
        root.run("INSERT INTO b.t SELECT i, i FROM range(700) r(i)")
        with server.websocket(root) as ws:
            ws.subscribe("small", "SELECT count(*) AS n FROM b.t").ready()
            # One after another, each alone is within the bound: those that nobody subscribes to make room.
            for i in range(5):
                ws.subscribe("large", f"SELECT g + {i} AS g, count(*) AS n FROM b.t GROUP BY g + {i}").ready()
            for i in range(5, 8):
                ws.subscribe(f"large{i}", f"SELECT g + {i} AS g, count(*) AS n FROM b.t GROUP BY g + {i}")
            ended = ws.wait_message(lambda m: m["type"] == "error", "an error")
            assert ended["code"] == "RESULT_TOO_LARGE" and "live.result_bytes_total" in ended["message"]
            root.run("DELETE FROM b.t WHERE id = 1")
            ws.wait_message(lambda m: m["type"] == "change" and m["subscription_id"] == "small", "the small one")
