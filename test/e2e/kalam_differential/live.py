"""Random predicates as WHERE of live queries and of SELECT, while the rows change: both must find the same rows."""

import collections
import json

from kalam_testlib.http_client import flush, names
from kalam_testlib.ws_client import Replica

from .alterations import Alterations
from .changes import Changes
from .expressions import Expressions, Scope
from .values import TYPES, random_table
from .world import USERS, crashed

REFUSALS = ("INVALID_SQL", "UNSUPPORTED")
MARKER = "marker"


class Watch(Replica):
    """One live query, and the SELECT with the same text."""

    def __init__(self, name, user, table, columns, sql):
        super().__init__(None)
        self.name, self.user, self.of, self.columns, self.sql = name, user, table, columns, sql
        self.is_all = sql.startswith("SELECT * ")
        self.loads = self.resumes = self.is_altered = False
        self.refusal = self.schema = None
        self.counts = collections.Counter()

    def live_sql(self):
        return self.sql

    def key_of(self, row):
        return tuple(json.dumps(row[key.name]) for key in self.of.keys)

    def begin(self, ws, options):
        """Subscribes, behind what has been told already if there is anything."""
        self.loads, self.resumes, self.refusal = True, self.last_seq > 0, None
        if self.resumes:
            options = {**options, "from": self.last_seq}
        subscription = {"id": self.name, "sql": self.live_sql(), "options": options}
        ws.send({"type": "subscribe", "subscription": subscription})

    def forget(self):
        self.table, self.last_seq = {}, 0

    def take(self, ws, message):
        kind = message["type"]
        if kind == "initial_data_batch" and self.loads:
            self.take_batch(ws, message["rows"], message["batch_control"])
        elif kind == "change" and self.loads:
            assert self.resumes and message["change_type"] == "delete", f"{self.sql}: while rows load: {message}"
            self.table.pop(self.key_of(message["old_values"][0]), None)
            self.counts["caught up"] += 1
        elif kind == "change":
            self.counts[message["change_type"]] += 1
            self.apply(message)
        elif kind == "error" and (self.loads or self.is_altered):
            self.refusal, self.loads = message, False
        else:
            assert kind == "subscription_ack" and (self.loads or self.is_altered), f"{self.sql}: {message}"
            self.schema = [field["name"] for field in message["schema"]]

    def take_batch(self, ws, rows, control):
        if not self.resumes:
            self.load(rows)
        for row in rows:
            self.table[self.key_of(row)] = row
        self.last_seq = control["last_seq_id"] or self.last_seq
        self.loads = control["has_more"]
        if self.loads:
            ws.next_batch(self.name, control["last_seq_id"])

    def compare(self, rows):
        """With the rows that SELECT finds, as dictionaries."""
        shown = [*self.columns, "_seq"]
        expected = {self.key_of(row): [row[name] for name in shown] for row in rows}
        found = {key: [row.get(name) for name in shown] for key, row in self.table.items()}
        if expected != found:
            wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
            told = [f"{key}: SELECT {expected.get(key)}, live {found.get(key)}" for key in sorted(wrong)[:5]]
            raise AssertionError(f"{self.sql}\n  " + "\n  ".join(told))
        self.counts["some rows"] += len(expected) > 0

    def compare_altered(self, rows):
        """Behind an ALTER TABLE: the rows are still the same, and have the values that SELECT now finds."""
        columns = [column.name for column in self.of.columns] if self.is_all else self.columns
        self.columns = [key.name for key in self.of.keys]
        self.compare(rows)
        self.columns, self.table = columns, {self.key_of(row): row for row in rows}
        shown = [name for name in self.schema if name not in ("_seq", "_deleted")]
        assert shown == columns, f"{self.sql}: the last ack has {shown}, not {columns}"


class LiveWorld:
    """A USER, a SHARED and a STREAM table, which two users change and watch, each through a socket."""

    def __init__(self, server, chance, name, watch=Watch):
        self.server, self.chance, self.new_watch = server, chance, watch
        self.namespace = f"live{name}"
        self.make = Expressions(chance)
        self.alterations = Alterations(chance)
        self.root = server.root()
        self.clients = {user: server.user(user, "service") for user in USERS}
        must_have = TYPES[:]
        chance.shuffle(must_have)
        kinds = {"u": "USER", "s": "SHARED", "st": "STREAM"}
        self.tables = [
            random_table(chance, name, kind, must_have[i::3]) for i, (name, kind) in enumerate(kinds.items())
        ]
        self.sockets, self.taken, self.marked = {}, {}, {}  # by user
        self.watches = {}  # by name
        self.markers = 0
        self.counts = collections.Counter()
        self.root.run(f"CREATE NAMESPACE {self.namespace}")
        self.run(f"CREATE SHARED TABLE {MARKER} (id INT PRIMARY KEY)")
        for table in self.tables:
            sql = table.create(kalam=True)
            self.run(sql + " WITH (TTL_SECONDS = 86400)" if table.kind == "STREAM" else sql)
        for user in USERS:
            self.open_socket(user)

    def run(self, sql):
        self.clients[USERS[0]].run(sql, namespace=self.namespace)

    def close(self):
        for ws in self.sockets.values():
            ws.abort()

    def open_socket(self, user):
        """Changes come in the order of commits: all are here when a marker is that was written behind them."""
        query = self.chance.choice(("", "?compress=false", "?serialization=msgpack"))
        self.sockets[user] = self.server.websocket(self.clients[user], query=query)
        self.taken[user] = self.marked[user] = 0
        self.sockets[user].subscribe(MARKER, f"SELECT * FROM {self.namespace}.{MARKER}", None).wait_ack()

    # --- predicates

    def predicate(self, table):
        scope = Scope([(column.name, column.type.family) for column in table.columns])
        sql = self.make.bool(scope, self.chance.randint(1, 3))
        kind = self.chance.random()
        if kind < 0.06:
            sql = f"({sql}) {self.chance.choice(('AND', 'OR'))} CURRENT_USER() = '{self.chance.choice(USERS)}'"
        elif kind < 0.1:
            sql = f"({sql}) {self.chance.choice(('AND', 'OR'))} _seq % 3 = 0"
        elif kind < 0.2:
            json = self.make.leaf(scope, "json")
            made = (f"json_get_int({json}, 'a') = 1", f"json_length({json}, 'b') < 3", f"json_contains({json}, 'a')")
            sql = f"({sql}) {self.chance.choice(('AND', 'OR'))} {self.chance.choice((*made, f'({json} -> 0) IS NULL'))}"
        return sql

    def watch_all(self, count):
        """So many predicates on each table that a user sees; each must be taken or refused as SELECT does."""
        for user in USERS:
            for table in self.tables:
                for _ in range(count):
                    columns = all_columns = [column.name for column in table.columns]
                    if self.chance.random() < 0.3:
                        columns = [c.name for c in table.columns if c.is_key or self.chance.random() < 0.5]
                    shown = "*" if columns is all_columns else ", ".join(columns)
                    sql = f"SELECT {shown} FROM {self.namespace}.{table.name} WHERE {self.predicate(table)}"
                    self.watch(self.new_watch(f"w{len(self.watches)}", user, table, columns, sql))

    def watch(self, watch):
        answer = self.clients[watch.user].sql(watch.sql)
        assert not crashed(answer), (watch.sql, answer)
        self.watches[watch.name] = watch
        watch.begin(self.sockets[watch.user], self.options())
        self.take(watch.user, lambda: not watch.loads)
        self.counts["predicates"] += 1
        if watch.refusal is None:
            assert answer.ok, f"only SELECT refuses: {watch.sql}\n{answer}"
            return
        del self.watches[watch.name]
        told = f"{watch.sql}\n  {watch.refusal}"
        assert watch.refusal["code"] in REFUSALS and len(watch.refusal["message"]) > 10, told
        self.counts["refused" if answer.ok else "bad"] += 1
        if answer.ok:
            print(f"refused: {told}")

    def options(self):
        return {"batch_size": self.chance.choice((3, 1000))}

    def take(self, user, is_over):
        """Hands out what comes to a user, until it is over."""
        ws = self.sockets[user]
        while True:
            for message in ws.messages[self.taken[user] :]:
                self.taken[user] += 1
                name = message.get("subscription_id")
                if name == MARKER and message["type"] == "change":
                    self.marked[user] = message["rows"][0]["id"]
                elif name in self.watches:
                    self.watches[name].take(ws, message)
            if is_over():
                return
            ws.wait_for(lambda: len(ws.messages) > self.taken[user], "what is due")

    # --- changes

    def change(self):
        """A statement or a transaction on one table; the users and the table for whom it may have changed something."""
        user, table = self.chance.choice(USERS), self.chance.choice(self.tables)
        changes = Changes(self.chance, table, self.tables)
        if table.kind == "STREAM":
            sql = self.chance.choice((changes.insert, changes.insert_ignoring, changes.delete))().sql(kalam=True)
        elif self.chance.random() < 0.25:
            made = [changes.change().sql(kalam=True) for _ in range(self.chance.randint(2, 4))]
            sql = "; ".join(["BEGIN", *made, self.chance.choice(("COMMIT", "COMMIT", "ROLLBACK"))])
        else:
            sql = changes.change().sql(kalam=True)
        response = self.clients[user].sql(sql, namespace=self.namespace)
        assert not crashed(response), (sql, response)
        self.counts["changes"] += 1
        self.counts["done"] += response.ok
        return USERS if table.kind == "SHARED" else (user,), table

    def step(self):
        users, table = self.change()
        self.meet()
        self.compare(watch for watch in self.watches.values() if watch.user in users and watch.of is table)

    def meet(self):
        """Takes all that is due by now."""
        self.markers += 1
        self.run(f"INSERT INTO {MARKER} VALUES ({self.markers})")
        for user in USERS:
            self.take(user, lambda: self.marked[user] == self.markers)

    def compare(self, watches):
        watches = list(watches)
        for user in USERS:
            asked = [watch for watch in watches if watch.user == user]
            if not asked:
                continue
            for watch, result in zip(asked, self.clients[user].run("; ".join(map(self.select, asked)))):
                watch.compare(self.rows_of(result))
                self.counts["comparisons"] += 1

    @staticmethod
    def select(watch):
        return watch.sql if watch.is_all else watch.sql.replace(" FROM ", ", _seq FROM ", 1)

    @staticmethod
    def rows_of(result):
        return [dict(zip(names(result), row)) for row in result["rows"]]

    def alter(self):
        """A live query goes on where its SELECT is still one, and is ended where not."""
        table, alter = self.chance.choice(self.tables), self.alterations
        mine = [watch for watch in self.watches.values() if watch.of is table]
        for watch in mine:
            watch.is_altered = True
        self.run(self.chance.choice((alter.add, alter.drop, alter.rename, alter.drop_not_null))(table)[1])
        self.meet()
        for watch in mine:
            answer = self.clients[watch.user].sql(self.select(watch))
            assert not crashed(answer) and answer.ok == (watch.refusal is None), (watch.sql, answer, watch.refusal)
            if answer.ok:
                watch.compare_altered(self.rows_of(answer.results[0]))
                watch.is_altered = False
            else:
                assert watch.refusal["code"] == "INVALID_SQL", (watch.sql, watch.refusal)
                self.counts["ended"] += 1
                del self.watches[watch.name]

    def reconnect(self, changes):
        """A user's socket is cut, and its live queries go on behind what has changed meanwhile."""
        user = self.chance.choice(USERS)
        self.sockets[user].abort()
        for _ in range(changes):
            self.change()
        self.open_socket(user)
        mine = [watch for watch in self.watches.values() if watch.user == user]
        for watch in mine:
            if watch.of.kind == "STREAM":
                # Deletions of STREAM rows leave nothing from which one who resumes could learn of them.
                watch.forget()
            watch.begin(self.sockets[user], self.options())
        self.take(user, lambda: not any(watch.loads for watch in mine))
        self.meet()
        self.compare(self.watches.values())

    def flush(self):
        flush(self.root, f"STORAGE FLUSH ALL IN {self.namespace}")
