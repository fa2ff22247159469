"""One run: writers, subscribers, maintenance and kills beside each other; what comes of it is a History."""

import collections
import itertools
import random
import sys
import threading
import traceback

from kalam_testlib import Server, ServerConfig, refuse_failures, wait_until

from .history import Commit, History, Subscription
from .readers import Reader
from .writers import CONTENDED_KEY, END_KEY, TABLES, Contended, Journal, Maintenance, Writer, settle

WRITERS = ("ann", "ben", "ann", "ben")
# Of each reader: who, and its live queries (table, columns, below, last_rows); `brief` and `stream` are there for a while.
READERS = (
    (
        "ann",
        [
            ("shared", "*", None, None),
            ("own", "*", None, None),
            ("brief", "*", None, None),
            ("stream", "*", None, None),
        ],
    ),
    (
        "ben",
        [
            ("shared", "id, v", 3, None),
            ("own", "*", 2, None),
            ("brief", "id, v", 3, None),
            ("stream", "*", None, None),
        ],
    ),
    (
        "ann",
        [
            ("shared", "*", 3, None),
            ("own", "id, v", 3, None),
            ("shared", "*", None, 3),
            ("brief", "*", None, 2),
            ("stream", "id, v", 3, None),
        ],
    ),
    (
        "ben",
        [
            ("shared", "id, v", None, None),
            ("own", "id, v", None, None),
            ("own", "*", 4, 4),
            ("brief", "*", 2, None),
            ("stream", "*", 3, 2),
        ],
    ),
)
BRIEF = {"brief": "SHARED", "stream": "STREAM"}
OPTIONS = {"SHARED": "DELETED_RETENTION_HOURS = 0", "USER": "DELETED_RETENTION_HOURS = 0", "STREAM": "TTL_SECONDS = 86400"}


class World:
    """A run of its own server, with a kill between every two rounds. `commits` grows while it goes on."""

    def __init__(self, seed, rounds, steps):
        self.chance = random.Random(seed)
        self.rounds, self.steps = rounds, steps
        self.history = History(seed)
        self.commits = self.history.commits
        self.kills = 0
        self.statements = 0  # of maintenance
        self.most_commits = len(WRITERS) * steps  # of a round
        self.tables = {}  # name → kind, of those that there are
        self.dropping = None  # the one of which the DROP was not answered
        self.contended = collections.defaultdict(Contended)  # (user, or "" for all, table) → its keys
        self.queries = ["", "?compress=false", "?serialization=msgpack"]
        live = {"queue_bytes_per_connection": 1 << 16, "lag_timeout_secs": 3}
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
            self.users = {user: self.server.user(user, "dba") for user in WRITERS}
            for user, _ in READERS:
                self.readers.append(Reader(self, self.server.login(user), self.chance.getrandbits(32)))
            for table, kind in TABLES.items():
                self.create(root, table.removeprefix("h."), table, kind)
            try:
                for reader in self.readers:
                    reader.start()
                for number in range(self.rounds):
                    for short_name, kind in BRIEF.items():
                        if not any(table.startswith(f"h.{short_name}") for table in self.tables):
                            self.create(root, short_name, f"h.{short_name}{number}", kind)
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

    def create(self, root, short_name, table, kind):
        """A table, and its live queries."""
        root.run(f"CREATE {kind} TABLE {table} (id INT PRIMARY KEY, g INT, v TEXT, p TEXT) WITH ({OPTIONS[kind]})")
        self.history.tables[table] = kind
        for number, (user, queries) in enumerate(READERS):
            for of, columns, below, last_rows in queries:
                if of == short_name:
                    name = f"r{number}-{table}-{columns}-{below}-{last_rows}"
                    one = Subscription(name, user, table, columns, below, last_rows=last_rows)
                    self.history.subscriptions.append(one)
                    self.readers[number].subscriptions[name] = one
        self.tables[table] = kind

    def brief_tables(self):
        return [table for table in self.tables if table not in TABLES]

    def drop(self, root, table):
        """Writers may have statements on their way to it."""
        del self.tables[table]
        self.history.dropped.append(table)
        self.dropping = table
        root.run(f"DROP TABLE {table}")
        self.dropping = None

    def keys_of(self, user, table):
        return self.contended[user if TABLES[table] == "USER" else "", table]

    def look(self):
        """After a kill: what is there of contended rows, and of what was to be dropped."""
        root = self.users[WRITERS[0]]
        if self.dropping:
            root.run(f"DROP TABLE IF EXISTS {self.dropping}")
            self.dropping = None
        # Rows of STREAM tables may vanish in a crash.
        for table in [table for table, kind in self.tables.items() if kind == "STREAM"]:
            self.drop(root, table)
        for journal in self.journals:
            settle(self.users[journal.user], journal, self)
        for user, table in (("ann", "h.shared"), ("ann", "h.own"), ("ben", "h.own")):
            rows = self.users[user].rows(f"SELECT id, g, v, p FROM {table} WHERE id >= {CONTENDED_KEY} AND id < {END_KEY}")
            self.history.looks.append([len(self.commits), user, table, rows])
            self.keys_of(user, table).look([row[0] for row in rows])

    def write(self, is_last):
        """A round; but for the last, it ends with a kill at some moment, and a restart."""
        writers = [Writer(self.server.login(j.user), j, self) for j in self.journals]
        maintenance = Maintenance(self.server.root(), self, self.chance.getrandbits(32))
        threads = [*writers, maintenance]
        for thread in threads:
            thread.start()
        if not is_last:
            due = len(self.commits) + self.chance.randrange(self.most_commits // 4, self.most_commits)
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
            self.look()
            self.is_up.set()

    def finish(self):
        """Writes an end row into each table, until it comes to everybody as a change: then nothing is behind it."""
        self.finishing.set()
        for number in itertools.count():
            v = f"end.{number}"
            for user, table in itertools.product(self.users, self.tables):
                if user == WRITERS[0] or self.tables[table] != "SHARED":
                    key = END_KEY + number
                    sql = f"INSERT INTO {table} (id, g, v) VALUES ({key}, 0, '{v}')"
                    self.users[user].run(sql)
                    self.commits.append(Commit(f"end-{table}-{user}", user, sql, [[table, key, 0, v]], outcome="done"))
            try:
                wait_until(
                    lambda: any(r.failure for r in self.readers) or all(end and end[0] == v for _, end in self.ends()),
                    f"the end row {v} at everybody",
                )
                refuse_failures(self.readers, may_be_gone=False)
            except AssertionError as failure:
                raise AssertionError(f"{failure}: {self.lacking(v)}")
            if all(is_live for _, (_, is_live) in self.ends()):
                return

    def due(self):
        """(reader, name, live query) of those to which an end row is to come, or else the end of their table."""
        for reader in self.readers:
            for name, one in reader.subscriptions.items():
                if one.table in self.tables or name not in reader.over:
                    yield reader, name, one

    def ends(self):
        """(name, the last end row that came) of each live query, None where there was none, or where the end of a table was not told."""
        return ((name, reader.ends.get(name)) for reader, name, _ in self.due())

    def lacking(self, v):
        """What is known of the live queries to which the end row did not come."""
        told = {}
        for reader, name, one in self.due():
            if reader.ends.get(name, (None,))[0] == v:
                continue
            last = one.sessions[-1] if one.sessions else None
            told[name] = {
                "reader": {"begun": sorted(reader.begun), "owed": reader.owed, "at": stack_of(reader)},
                "sessions": len(one.sessions),
                "cursor": last and last.cursor,
                "messages": last and (len(last.messages), last.messages[-4:]),
                "system.live": self.users[WRITERS[0]].dicts("SELECT * FROM system.live WHERE subscription_id = $1", [name]),
                "is there": one.table in self.tables,
            }
        return told

    def read_tables(self):
        for user, table in itertools.product(self.users, self.tables):
            rows = self.users[user].dicts(f"SELECT id, _seq, g, v FROM {table}")
            self.history.final.append([user, table, rows])
        for one in (one for one in self.history.subscriptions if one.table in self.tables):
            one.final = self.users[one.user].dicts(f"SELECT id, _seq, v FROM {one.table}{one.where}")


def stack_of(thread):
    frame = sys._current_frames().get(thread.ident)
    return frame and [f"{at.filename}:{at.lineno}" for at in traceback.extract_stack(frame)][-6:]


def count(history):
    """What there was of each, so that a run proves something."""
    counts = collections.Counter(commits=len(history.commits))
    writer_of = {row[3]: commit.writer for commit in history.commits for row in commit.contended}
    for commit in history.commits:
        if commit.outcome == "done":
            counts["of other writers"] += sum(writer_of.get(row[4], commit.writer) != commit.writer for row in commit.contended)
        counts["unknown"] += bool(commit.found is not None and commit.rows)
        counts["transactions"] += len(commit.rows) > 1 and commit.outcome == "done"
    for one, session in ((one, session) for one in history.subscriptions for session in one.sessions):
        counts["resumes"] += session.cursor is not None
        if one.last_rows and session.cursor is None:
            batches = [message["rows"] for message in session.messages if message["type"] == "initial_data_batch"]
            counts["last_rows"] += any(batches)
        for message in session.messages:
            counts[message.get("change_type") or message.get("code") or message["type"]] += 1
            counts["of STREAM tables"] += message["type"] == "change" and history.tables[one.table] == "STREAM"
    return counts


def run(seed, rounds=3, steps=25):
    return World(seed, rounds, steps).run()
