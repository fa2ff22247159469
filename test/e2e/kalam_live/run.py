"""One run: writers, subscribers, maintenance and kills beside each other; what comes of it is a History."""

import collections
import itertools
import random
import subprocess
import threading

from kalam_testlib import Server, ServerConfig, refuse_failures, wait_until
from kalam_testlib.server import binary

from .history import Commit, History, Subscription
from .readers import Reader
from .writers import END_KEY, TABLES, Journal, Maintenance, Writer, settle

WRITERS = ("ann", "ben", "ann", "ben")
# Of each reader: who, and its live queries (table, columns, below).
READERS = (
    ("ann", [("h.shared", "*", None), ("h.own", "*", None)]),
    ("ben", [("h.shared", "id, v", 3), ("h.own", "*", 2)]),
    ("ann", [("h.shared", "*", 3), ("h.own", "id, v", 3)]),
    ("ben", [("h.shared", "id, v", None), ("h.own", "id, v", None)]),
)


def catches_up():
    """Whether the server lets slow clients catch up; it speaks MessagePack then, too."""
    settings = subprocess.run([str(binary()), "--settings"], capture_output=True, text=True, check=True).stdout
    return "live.queue_bytes_per_connection" in settings


class World:
    """A run of its own server, with a kill between every two rounds. `commits` grows while it goes on."""

    def __init__(self, seed, rounds, steps):
        self.chance = random.Random(seed)
        self.rounds, self.steps = rounds, steps
        self.history = History(seed, [table for table, kind in TABLES.items() if kind == "USER"])
        self.commits = self.history.commits
        self.kills = 0
        self.statements = 0  # of maintenance
        self.queries = ["", "?compress=false"]
        live = {}
        if catches_up():
            self.queries.append("?serialization=msgpack")
            live.update(queue_bytes_per_connection=1 << 16, lag_timeout_secs=3)
        self.server = Server(ServerConfig(websocket={"client_timeout_secs": 30}, live=live))
        self.is_up = threading.Event()
        self.finishing = threading.Event()  # nobody writes any more: everybody reads to the end
        self.ended = threading.Event()
        self.journals = [Journal(n, user, self.chance.getrandbits(32)) for n, user in enumerate(WRITERS)]
        self.readers = []

    def run(self):
        with self.server:
            self.is_up.set()
            root = self.server.root()
            root.run("CREATE NAMESPACE h")
            for table, kind in TABLES.items():
                columns = "id INT PRIMARY KEY, g INT, v TEXT"
                root.run(f"CREATE {kind} TABLE {table} ({columns}) WITH (DELETED_RETENTION_HOURS = 0)")
            self.users = {user: self.server.user(user, "dba") for user in WRITERS}
            for number, (user, queries) in enumerate(READERS):
                named = {}
                for table, columns, below in queries:
                    name = f"r{number}-{table}-{columns}-{below}"
                    named[name] = Subscription(name, user, table, columns, below)
                    self.history.subscriptions.append(named[name])
                self.readers.append(Reader(self, self.users[user], named, self.chance.getrandbits(32)))
            try:
                for reader in self.readers:
                    reader.start()
                for number in range(self.rounds):
                    self.write(is_last=number + 1 == self.rounds)
                self.finish()
            finally:
                self.finishing.set()
                self.ended.set()
                for reader in self.readers:
                    reader.join()
            refuse_failures(self.readers, may_be_gone=False)
            self.read_tables()
        return self.history

    def write(self, is_last):
        """A round; but for the last, it ends with a kill at some moment, and a restart."""
        writers = [Writer(self.server.login(j.user), j, self.commits, self.steps) for j in self.journals]
        maintenance = Maintenance(self.server.root(), self, self.chance.getrandbits(32))
        threads = [*writers, maintenance]
        for thread in threads:
            thread.start()
        if not is_last:
            most = len(WRITERS) * self.steps
            due = len(self.commits) + self.chance.randrange(most // 4, most)
            wait_until(lambda: len(self.commits) >= due or not any(w.is_alive() for w in writers), "commits")
            refuse_failures(threads + self.readers, may_be_gone=False)
            self.kills += 1
            self.is_up.clear()
            self.server.process.kill()
        for thread in writers:
            thread.join()
        maintenance.ended.set()
        maintenance.join()
        refuse_failures(threads + self.readers, may_be_gone=not is_last)
        if not is_last:
            self.server.crash()
            for journal in self.journals:
                settle(self.users[journal.user], journal, self.commits)
            self.is_up.set()

    def finish(self):
        """Writes an end row into each table, until it comes to everybody as a change: then nothing is behind it."""
        self.finishing.set()
        for number in itertools.count():
            v = f"end.{number}"
            for user, table in (("ann", "h.shared"), ("ann", "h.own"), ("ben", "h.own")):
                sql = f"INSERT INTO {table} (id, g, v) VALUES ({END_KEY}, 0, '{v}')"
                sql += " ON CONFLICT (id) DO UPDATE SET v = excluded.v"
                self.users[user].run(sql)
                self.commits.append(Commit(f"end-{table}-{user}", user, sql, [[table, END_KEY, 0, v]], "done"))
            wait_until(
                lambda: any(r.failure for r in self.readers)
                or all(r.ends.get(name, (None,))[0] == v for r in self.readers for name in r.subscriptions),
                f"the end row {v} at everybody",
            )
            refuse_failures(self.readers, may_be_gone=False)
            if all(is_live for reader in self.readers for _, is_live in reader.ends.values()):
                return

    def read_tables(self):
        for user, table in itertools.product(self.users, TABLES):
            rows = self.users[user].dicts(f"SELECT id, _seq, g, v FROM {table}")
            self.history.final.append([user, table, rows])
        for one in self.history.subscriptions:
            one.final = self.users[one.user].dicts(f"SELECT id, _seq, v FROM {one.table}{one.where}")


def count(history):
    """What there was of each, so that a run proves something."""
    counts = collections.Counter(commits=len(history.commits))
    for commit in history.commits:
        counts["unknown"] += bool(commit.found is not None and commit.rows)
        counts["transactions"] += len(commit.rows) > 1 and commit.outcome == "done"
    for session in (session for one in history.subscriptions for session in one.sessions):
        counts["resumes"] += session.cursor is not None
        for message in session.messages:
            counts[message.get("change_type") or message.get("code") or message["type"]] += 1
    return counts


def run(seed, rounds=3, steps=25):
    return World(seed, rounds, steps).run()
