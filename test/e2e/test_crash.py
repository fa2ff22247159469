"""kill -9 under load: no acknowledged change is missing, no unacknowledged one half there, nothing from nowhere.

This is the quick form, a few kills at seeded moments.
"""

import http.client
import random
import threading
import time

import pytest
from kalam_testlib import Server, wait_until

ROUNDS = 5
WRITERS = 4
KEYS = 40


class Journal:
    """What one writer did to its own keys: for each the states that it may be in. None is "not there"."""

    def __init__(self):
        self.possible = {}

    def of(self, key):
        return self.possible.get(key, {None})

    def begin(self, states):
        """An operation that leads to `states` ({key: value}) is sent: both outcomes are possible from now on."""
        self.before = {key: self.of(key) for key in states}
        self.states = states
        for key, value in states.items():
            self.possible[key] = self.of(key) | {value}

    def end(self, done):
        """It was acknowledged (done), or refused."""
        for key, value in self.states.items():
            self.possible[key] = {value} if done else self.before[key]

    def pending(self):
        """Keys of the operation that was under way when the server died, if there was one."""
        return [key for key in getattr(self, "states", {}) if len(self.possible[key]) > 1]


class Writer(threading.Thread):
    """Writes its own keys until the server is gone. Every value is written once, so that it tells which write it was."""

    def __init__(self, server, table, number, journal, seed):
        super().__init__()
        self.server, self.table, self.number, self.journal = server, table, number, journal
        self.chance = random.Random(seed)
        self.acknowledged = 0
        self.failure = None

    def key(self, index):
        return self.number * 1000 + index

    def run(self):
        try:
            client = self.server.root()
            while True:
                self.step(client)
        except (OSError, http.client.HTTPException):
            pass
        except BaseException as failure:  # Shown by the test.
            self.failure = failure

    def step(self, client):
        value = f"{self.number}-{self.chance.getrandbits(60):x}"
        kind = self.chance.random()
        if kind < 0.15:
            keys = [self.key(index) for index in self.chance.sample(range(KEYS), self.chance.choice((1, 8)))]
            rows = ", ".join(f"({key}, '{value}', {key})" for key in keys)
            sql = (
                f"INSERT INTO {self.table} VALUES {rows} ON CONFLICT (id) DO UPDATE SET v = excluded.v || '' RETURNING id"
            )
            states = dict.fromkeys(keys, value)
        elif kind < 0.4:
            keys = [self.key(index) for index in self.chance.sample(range(KEYS), self.chance.choice((1, 1, 8)))]
            keys = [key for key in keys if self.journal.of(key) == {None}]
            rows = ", ".join(f"({key}, '{value}', {key})" for key in keys)
            sql = f"INSERT INTO {self.table} VALUES {rows}"
            states = dict.fromkeys(keys, value)
        else:
            low = self.key(self.chance.randrange(KEYS))
            high = low + self.chance.choice((0, 0, 5))
            keys = [key for key in range(low, high + 1) if self.journal.of(key) != {None}]
            where = f"id = {low}" if low == high else f"id BETWEEN {low} AND {high}"
            sql = (
                f"UPDATE {self.table} SET v = '{value}' WHERE {where}"
                if kind < 0.8
                else f"DELETE FROM {self.table} WHERE {where}"
            )
            states = dict.fromkeys(keys, value if kind < 0.8 else None)
        if not keys:
            return
        self.journal.begin(states)
        response = client.sql(sql)
        if response.status == 503:
            raise ConnectionError("the server is going down")
        assert response.ok, (sql, response)
        assert response.results[0]["row_count"] == len(keys), (sql, response)
        self.journal.end(True)
        self.acknowledged += 1


def flush_until_gone(server, table):
    try:
        client = server.root()
        while True:
            client.sql(f"STORAGE FLUSH TABLE {table}")
            time.sleep(0.02)  # Not waiting for anything: it spaces the flushes out, so that rows are hot and cold.
    except (OSError, http.client.HTTPException):
        pass


def check(root, table, journals):
    rows = root.rows(f"SELECT id, v, n FROM {table}")
    found = {}
    for key, value, number in rows:
        assert key not in found, f"row twice: {key}"
        assert number == key, f"half a row: {[key, value, number]}"
        found[key] = value
    for number, journal in enumerate(journals):
        for key, states in journal.possible.items():
            assert found.get(key) in states, f"key {key} is {found.get(key)!r}, which is none of {states}"
        pending = journal.pending()
        outcomes = {
            found.get(key) == journal.states[key] for key in pending if journal.before[key] != {journal.states[key]}
        }
        assert len(outcomes) <= 1, f"half of a statement was done: {[(key, found.get(key)) for key in pending]}"
        for key in journal.possible:
            journal.possible[key] = {found.get(key)}
    unknown = set(found) - {key for journal in journals for key in journal.possible}
    assert not unknown, f"rows that nobody wrote: {unknown}"
    for key in random.Random(len(found)).sample(sorted(found), min(20, len(found))):
        assert root.rows(f"SELECT v FROM {table} WHERE id = {key}") == [[found[key]]], "by key as by scan"
    assert root.count(table) == len(found)


@pytest.mark.parametrize("kind", ["SHARED", "USER"])
def test_kill_under_load(kind):
    seed = 20260701
    chance = random.Random(seed)
    with Server() as server:
        root = server.root()
        root.run(f"CREATE NAMESPACE k; CREATE {kind} TABLE k.t (id INT PRIMARY KEY, v TEXT, n INT)")
        journals = [Journal() for _ in range(WRITERS)]
        for round_number in range(ROUNDS):
            writers = [
                Writer(server, "k.t", number, journal, seed + 100 * round_number + number)
                for number, journal in enumerate(journals)
            ]
            flusher = threading.Thread(target=flush_until_gone, args=(server, "k.t"))
            for thread in (*writers, flusher):
                thread.start()
            enough = 40 + chance.randrange(60)
            wait_until(
                lambda: sum(writer.acknowledged for writer in writers) >= enough or any(w.failure for w in writers),
                f"{enough} acknowledged writes",
            )
            time.sleep(chance.random() / 20)  # A random moment is what is wanted here.
            server.process.kill()
            for thread in (*writers, flusher):
                thread.join()
            assert not [writer.failure for writer in writers if writer.failure], (seed, round_number)
            server.crash()
            check(root, "k.t", journals)
        server.restart()
        check(root, "k.t", journals)


def test_definitions_survive_a_kill():
    with Server() as server:
        root = server.root()
        for number in range(5):
            root.run(
                f"CREATE NAMESPACE n{number}; CREATE USER TABLE n{number}.t (id INT PRIMARY KEY, v TEXT DEFAULT 'd{number}')"
            )
            server.create_user(f"user{number}")
            if number % 2:
                root.run(f"DROP NAMESPACE n{number - 1}")
            server.crash()
            names = [row[0] for row in root.rows("SELECT name FROM system.namespaces")]
            alive = {f"n{n}" for n in range(number + 1) if n % 2 or (n == number)}
            assert {name for name in names if name.startswith("n")} == alive
            assert server.user(f"user{number}").value("SELECT CURRENT_USER()") == f"user{number}"
            root.run(f"INSERT INTO n{number}.t (id) VALUES (1)")
            assert root.rows(f"SELECT v FROM n{number}.t") == [[f"d{number}"]]


def test_seq_goes_on_rising_after_a_kill():
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE s; CREATE SHARED TABLE s.t (id INT PRIMARY KEY)")
        for number in range(4):
            root.run(f"INSERT INTO s.t VALUES ({2 * number})")
            server.crash()
            root.run(f"INSERT INTO s.t VALUES ({2 * number + 1})")
        assert [row[0] for row in root.rows("SELECT id FROM s.t ORDER BY _seq")] == list(range(8))


def test_kill_while_starting():
    """A server that is killed before it is ready leaves nothing that stops the next one."""
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE s; CREATE SHARED TABLE s.t (id INT PRIMARY KEY); INSERT INTO s.t VALUES (1)")
        chance = random.Random(5)
        for _ in range(4):
            server.kill()
            server.start_and_kill(chance.random() * 0.1)
            server.start()
            assert root.rows("SELECT id FROM s.t") == [[1]]
