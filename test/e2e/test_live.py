"""Live queries beside concurrent writers: every change once, in `_seq` order, with no gap between snapshot and changes."""

import random
import threading

import pytest
from kalam_testlib import SLOWDOWN, wait_until
from kalam_testlib.ws_client import change_row, replica_of

KEYS = 60
COLUMNS = ["v", "n"]


class Writers:
    """Threads that insert, update and delete random rows until told to stop; conflicts with each other are expected."""

    def __init__(self, server, clients, table, seed=1):
        self.table = table
        self.stopping = threading.Event()
        self.failures = []
        self.done = 0
        self.threads = [
            threading.Thread(target=self.write, args=(client, random.Random(seed * 100 + number)))
            for number, client in enumerate(clients)
        ]
        for thread in self.threads:
            thread.start()

    def write(self, client, chance):
        while not self.stopping.is_set():
            key = chance.randrange(KEYS)
            sql = chance.choice(
                (
                    f"INSERT INTO {self.table} VALUES ({key}, 'v{chance.randrange(5)}', {chance.randrange(100)})",
                    f"INSERT INTO {self.table} VALUES ({key}, 'a', 1), ({key + KEYS}, 'b', 2) ON CONFLICT DO NOTHING",
                    f"UPDATE {self.table} SET v = 'v{chance.randrange(5)}' WHERE id = {key}",
                    f"UPDATE {self.table} SET n = n + 1, v = NULL WHERE id BETWEEN {key} AND {key + 5}",
                    f"DELETE FROM {self.table} WHERE id = {key}",
                    f"DELETE FROM {self.table} WHERE n % 17 = {key % 17}",
                )
            )
            response = client.sql(sql)
            if not response.ok and not any(word in response.message for word in ("Primary key violation", "Conflict")):
                self.failures.append((sql, response))
                return
            self.done += 1

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures[0]


@pytest.mark.parametrize("kind", ["SHARED", "USER"])
def test_subscribers_beside_writers(server, root, ns, kind):
    """Subscribers come before, during and after; with batches of every size and with filters; while rows are flushed."""
    table = f"{ns}.t"
    root.run(f"CREATE {kind} TABLE {table} (id INT PRIMARY KEY, v TEXT, n INT)")
    ws = server.websocket(root)
    everything = f"SELECT * FROM {table}"
    filtered = f"SELECT * FROM {table} WHERE v = 'v1' OR n > 50 OR id = 1000"
    lives = [(everything, ws.subscribe("first", everything)), (filtered, ws.subscribe("first-filtered", filtered))]
    writers = Writers(server, [server.root() for _ in range(4)], table)
    for number in range(12):
        reached = writers.done + 40
        wait_until(lambda: writers.done >= reached or writers.failures, "more writes")
        sql = (everything, filtered)[number % 2]
        live = ws.subscribe(f"s{number}", sql, {"batch_size": (1000, 3, 7)[number % 3]})
        live.wait_ready()
        lives.append((sql, live))
        if number % 3 == 1:
            root.run(f"STORAGE FLUSH TABLE {table}")
    for _, live in lives[:2]:
        if not live.rows:
            live.wait_ready()
    writers.stop()
    # What arrives behind this row arrives behind everything else too.
    root.run(f"INSERT INTO {table} VALUES (1000, 'end', 0)")
    for sql, live in lives:
        ws.wait_for(
            lambda: live.changes and change_row(live.changes[-1])["id"] == 1000, f"the last change of {live.id}"
        )
        expected = {row["id"]: (row["v"], row["n"]) for row in root.dicts(sql)}
        if sql == everything:
            assert replica_of(live).values(COLUMNS) == expected, live.id
        else:
            assert filtered_replica(live) == expected, live.id
    # Those who were there from the start saw the same changes in the same order.
    whole = [live for sql, live in lives if sql == everything]
    order = [int(change_row(change)["_seq"]) for change in whole[0].changes]
    assert order == sorted(set(order))
    for live in whole[1:]:
        its = [int(change_row(change)["_seq"]) for change in live.changes]
        assert its == order[-len(its) :]
    ws.close()


def filtered_replica(live):
    """As replica_of, for a filter: a row that enters may come as update if it could have been seen, and the `_seq` of the
    delete of one that leaves is that of the change that took it out."""
    table, last = {}, 0
    for row in live.rows:
        assert int(row["_seq"]) > last
        last = int(row["_seq"])
        table[row["id"]] = row
    for change in live.changes:
        row = change_row(change)
        assert int(row["_seq"]) > last, f"out of order or twice: {change} after {last}"
        last = int(row["_seq"])
        if change["change_type"] == "delete":
            assert table.pop(row["id"], None) is not None, f"delete of a row that is not there: {change}"
        else:
            assert (change["change_type"] == "insert") <= (
                row["id"] not in table
            ), f"insert of a row that is there: {change}"
            table[row["id"]] = row
    return {key: (row.get("v"), row.get("n")) for key, row in table.items()}


def test_two_writers_one_row(server, root, ns):
    """No lost update: concurrent increments add up, and the subscriber sees each."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, n INT); INSERT INTO {ns}.t VALUES (1, 0)")
    ws = server.websocket(root)
    live = ws.subscribe("s", f"SELECT * FROM {ns}.t")
    live.wait_ready()
    added, lock = [0], threading.Lock()

    def increment(client, where):
        for _ in range(40):
            response = client.sql(f"UPDATE {ns}.t SET n = n + 1 WHERE {where}")
            assert response.ok or "Conflict" in response.message, response
            with lock:
                added[0] += response.ok

    failures = run_threads(
        [(increment, server.root(), where) for where in ("id = 1", "id = 1", "id + 0 = 1", "n >= 0")]
    )
    assert not failures, failures
    assert added[0] > 80, "conflicts are retried by the server"
    assert root.value(f"SELECT n FROM {ns}.t") == added[0]
    changes = live.wait_changes(added[0])
    assert [change["rows"][0]["n"] for change in changes] == list(range(1, added[0] + 1))
    ws.close()


def test_one_key_many_inserters(server, root, ns):
    """Of several inserts of one key exactly one succeeds."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, who INT)")
    winners, lock = [], threading.Lock()

    def insert(client, who):
        for key in range(50):
            response = client.sql(f"INSERT INTO {ns}.t VALUES ({key}, {who})")
            assert response.ok or "Primary key violation" in response.message, response
            if response.ok:
                with lock:
                    winners.append([key, who])

    failures = run_threads([(insert, server.root(), who) for who in range(4)])
    assert not failures, failures
    assert sorted(winners) == root.rows(f"SELECT id, who FROM {ns}.t ORDER BY id") and len(winners) == 50


def run_threads(calls):
    """Runs each (function, arguments…) in a thread of its own; the failures."""
    failures = []

    def guarded(function, *arguments):
        try:
            function(*arguments)
        except BaseException as failure:  # Shown by the caller's assertion.
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_changes_of_one_statement_come_together(server, root, ns):
    """While a statement changes a hundred rows, a reader sees all of them changed or none."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, n INT)")
    root.run(f"INSERT INTO {ns}.t SELECT i, 0 FROM GENERATE_SERIES(1, 100) AS s(i)")
    root.flush(f"{ns}.t")

    def write(client):
        for number in range(30):
            client.run(f"UPDATE {ns}.t SET n = {number + 1} WHERE id > 0")
            if number % 10 == 5:
                client.run(f"STORAGE FLUSH TABLE {ns}.t")

    def read(client):
        last = 0
        while last < 30:
            rows = client.rows(f"SELECT COUNT(*), MIN(n), MAX(n) FROM {ns}.t")
            assert rows[0][0] == "100" and rows[0][1] == rows[0][2] >= last, rows
            last = rows[0][1]

    failures = run_threads([(write, server.root()), (read, server.root()), (read, server.root())])
    assert not failures, failures


def test_slow_reader_loses_nothing_and_stops_nobody(server, root, ns):
    """One subscriber stops reading while 40 MB of changes come; another one gets them meanwhile. Then the slow one gets
    all of them too, each once and in order: from its queue, replayed after LAGGED, or, when the server closed the
    connection with 1013, by resuming from its cursor."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    slow, fast = server.websocket(root, query="?compress=false"), server.websocket(root)
    of_slow = slow.subscribe("slow", f"SELECT * FROM {ns}.t")
    of_fast = fast.subscribe("fast", f"SELECT id FROM {ns}.t")
    of_slow.wait_ready()
    of_fast.wait_ready()
    count = 400
    with slow.changed:  # The reader thread can't take in what it has read while this lock is held.
        for number in range(count):
            root.run(f"INSERT INTO {ns}.t SELECT {number}, REPEAT(CHR(65 + {number % 26}), 100000)")
        of_fast.wait_changes(count)
    wait_until(lambda: slow.closed or len(of_slow.changes) >= count, "the slow reader's changes")
    rows = [change_row(change) for change in of_slow.changes]
    assert {error["code"] for error in of_slow.of_type("error")} <= {"LAGGED"}
    if slow.closed:
        told = slow.close_code == 1013 and of_slow.of_type("error")
        assert told or SLOWDOWN > 1, "it is told before it is cut off, if it reads again within seconds"
        slow = server.websocket(root)
        resumed = slow.subscribe("slow", f"SELECT * FROM {ns}.t", {"from": int(rows[-1]["_seq"]) if rows else 0})
        rows += resumed.wait_ready()
    assert [row["id"] for row in rows] == list(range(count))
    assert all(len(row["v"]) == 100000 for row in rows)
    slow.close()
    fast.close()


def test_reconnecting_subscriber(server, root, ns):
    """A client that is cut off again and again, and resumes each time from its cursor, ends with the table as it is."""
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, v TEXT, n INT)")
    writers = Writers(server, [server.root(), server.root()], table, seed=7)
    rows, cursor = {}, None
    try:
        for _ in range(8):
            reached = writers.done + 25
            ws = server.websocket(root)
            live = ws.subscribe("s", f"SELECT * FROM {table}", {"from": cursor} if cursor else {})
            live.wait_ready()
            wait_until(lambda: writers.done >= reached or writers.failures, "more writes")
            ws.abort()
            cursor = take(live, rows, cursor)
    finally:
        writers.stop()
    with server.websocket(root) as ws:
        live = ws.subscribe("s", f"SELECT * FROM {table}", {"from": cursor})
        live.wait_ready()
        root.run(f"INSERT INTO {table} VALUES (1000, 'end', 0)")
        ws.wait_for(lambda: live.changes and change_row(live.changes[-1])["id"] == 1000, "the last change")
        take(live, rows, cursor)
    assert rows == {row["id"]: (row["v"], row["n"]) for row in root.dicts(f"SELECT * FROM {table}")}


def take(live, rows, cursor):
    """Applies what came to `rows`; the new cursor."""
    cursor = cursor or 0
    for row in live.rows:
        rows[row["id"]] = (row["v"], row["n"])
        cursor = max(cursor, int(row["_seq"]))
    for change in live.changes:
        row = change_row(change)
        if change["change_type"] == "delete":
            rows.pop(row["id"], None)
        else:
            rows[row["id"]] = (row.get("v"), row.get("n"))
        cursor = max(cursor, int(row["_seq"]))
    return cursor


@pytest.mark.parametrize("kind", ["SHARED", "USER", "STREAM"])
def test_first_rows_from_the_change_index_are_those_of_the_query(server, root, ns, kind):
    """Rows without a WHERE that are hot are read in the order of their changes; with one, and of segments, by DuckDB."""
    table = f"{ns}.t"
    options = " WITH (TTL_SECONDS = 600)" if kind == "STREAM" else ""
    root.run(f"CREATE {kind} TABLE {table} (id INT PRIMARY KEY, v TEXT, made TIMESTAMP, d DECIMAL(8,2), j JSON, f DOUBLE){options}")
    root.run(f"CREATE {kind} TABLE {ns}.bare (v TEXT){options}")
    root.run(f"INSERT INTO {ns}.bare SELECT 'row ' || i FROM range(5) r(i)")
    root.run(f"INSERT INTO {table} SELECT i, 'v' || i, TIMESTAMP '2026-01-01' + to_days(i::INT), i / 4, '[1]', i * 1e10 FROM range(10) r(i)")
    if kind != "STREAM":
        root.run(f"UPDATE {table} SET v = NULL, j = NULL WHERE id IN (2, 5); DELETE FROM {table} WHERE id = 7")
        root.run(f"ALTER TABLE {table} ADD COLUMN late INT DEFAULT 4")
        root.run(f"INSERT INTO {table} (id) VALUES (20)")

    def same(flushed):
        with server.websocket(root) as ws:
            for number, columns in enumerate(("*", "v, id", "d", "f, made, j")):
                for source in (table, f"{ns}.bare") if columns == "*" else (table,):
                    for options in ({}, {"batch_size": 3}, {"last_rows": 4}):
                        by_index = ws.subscribe("s", f"SELECT {columns} FROM {source}", options).ready()
                        by_query = ws.subscribe("q", f"SELECT {columns} FROM {source} WHERE true", options).ready()
                        assert by_index.rows and by_index.rows == by_query.rows, (columns, options, flushed)
                        batches = [[m["batch_control"] for m in live.batches] for live in (by_index, by_query)]
                        assert batches[0] == batches[1]
                        cursor = int(by_index.rows[1]["_seq"])
                        resumed = [ws.subscribe(f"r{where}", f"SELECT {columns} FROM {source} {where}", {"from": cursor}).ready()
                                   for where in ("", "WHERE true")]
                        assert resumed[0].rows == resumed[1].rows
                        assert [m["old_values"] for m in resumed[0].changes] == [m["old_values"] for m in resumed[1].changes]

    same(False)
    if kind != "STREAM":
        root.flush(table)
        root.run(f"UPDATE {table} SET v = 'hot again' WHERE id = 3; INSERT INTO {table} (id, v) VALUES (30, 'new')")
        same(True)
