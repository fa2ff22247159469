"""What was recorded of a run: what writers were told, what each subscriber received, what is in the tables at the end.

A row is known by its value: every statement writes a `v` of its own. Each key belongs to one writer, so that the
versions of a row have an order that does not depend on what the server says.
"""

import collections
import dataclasses
import json
import re

COLUMNS = ("g", "v")  # what a row has beside its key


@dataclasses.dataclass
class Commit:
    """A statement or a transaction. Without an answer its outcome is "unknown", and `found` what its writer has found
    after the restart; one of no rows is such a look without anything that was under way."""

    writer: str
    user: str
    sql: str
    rows: list  # [table, id, g, v]; g and v are None where it deletes
    outcome: str = "unknown"  # "done", "failed"
    found: list = None  # rows like those above


@dataclasses.dataclass
class Session:
    """One subscribe and what came, until the socket was cut or to the end. `cursor`: its `from`; None: a snapshot."""

    cursor: int
    messages: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Subscription:
    name: str
    user: str
    table: str
    columns: str  # "*" or a projection, with id and v
    below: int  # the filter g < below; None: no filter
    sessions: list = dataclasses.field(default_factory=list)
    final: list = None  # what a SELECT with the same filter finds at the end: {"id", "_seq", "v"}

    @property
    def where(self):
        return "" if self.below is None else f" WHERE g < {self.below}"

    def matches(self, g):
        return g is not None and (self.below is None or g < self.below)


@dataclasses.dataclass
class History:
    seed: int
    user_tables: list
    commits: list = dataclasses.field(default_factory=list)  # those of a writer in their order
    subscriptions: list = dataclasses.field(default_factory=list)
    final: list = dataclasses.field(default_factory=list)  # [user, table, rows like Subscription.final's with g]

    def save(self, path):
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1))


def seq_of(message):
    """Of a change."""
    return int((message.get("rows") or message["old_values"])[0]["_seq"])


def is_catch_up_row(message):
    """An update without old values: a row as it is now, of which the client may have an older version or none."""
    return message["type"] == "change" and message["change_type"] == "update" and not message.get("old_values")


def cursor_after(session):
    """Where a client may resume that has processed the session so far; None: from the beginning.

    While rows load, whole batches move it: deletes that come ahead of one are newer than some of its rows."""
    cursor, is_live = session.cursor, False
    for message in session.messages:
        if message["type"] == "initial_data_batch":
            cursor = message["batch_control"]["last_seq_id"] or cursor
            is_live = not message["batch_control"]["has_more"]
        elif message["type"] == "change" and is_live:
            cursor = seq_of(message)
        elif message["type"] == "error" and message["code"] == "CURSOR_TOO_OLD":
            return None
    return cursor


# A version of a row: `commit` is a number, g and v are None for a deletion.
Version = collections.namedtuple("Version", "commit g v")


class Truth:
    """What the writers' side of a history says: for each row the versions that it had."""

    def __init__(self, history, seqs):
        self.history = history
        self.seqs = seqs  # (scope, id, index) → the `_seq` that anybody was told of that version
        self.problems = []
        self.chains = collections.defaultdict(list)  # (scope, id) → its Versions, oldest first
        self.places = {}  # (scope, id, v) → index in the chain
        self.commits = {}  # number → {scope: {id: index}}
        self.replay()
        for user, table, rows in history.final:
            self.check_final(self.scope(user, table), rows)

    def scope(self, user, table):
        """Whose rows are seen together."""
        return (table, user if table in self.history.user_tables else "")

    def problem(self, kind, text):
        self.problems.append(f"{kind}: {text}")

    def replay(self):
        states = collections.defaultdict(dict)
        for number, commit in enumerate(self.history.commits):
            before = states[commit.writer]
            after = dict(before)
            for table, id, g, v in commit.rows:
                after[table, id] = (g, v)
                if v is None:
                    del after[table, id]
            done = commit.outcome == "done"
            if commit.found is not None:
                found = {(table, id): (g, v) for table, id, g, v in commit.found}
                if found not in (before, after):
                    wrong = sorted(set(found.items()) ^ set(before.items()))
                    kind = "atomic" if commit.rows else "durable"
                    self.problem(kind, f"{commit.writer} finds after a kill: {short(wrong)}; {short(commit.sql)}")
                done = done or found == after
            if done:
                states[commit.writer] = after
                self.add(number, commit)

    def add(self, number, commit):
        places = self.commits[number] = collections.defaultdict(dict)
        for table, id, g, v in commit.rows:
            scope = self.scope(commit.user, table)
            chain = self.chains[scope, id]
            places[scope][id] = self.places[scope, id, v] = len(chain)
            chain.append(Version(number, g, v))

    def check_final(self, scope, rows):
        found = {row["id"]: (row["g"], row["v"]) for row in rows}
        if len(found) != len(rows):
            self.problem("unique", f"{scope} has a key twice")
        expected = {id: chain[-1][1:] for (where, id), chain in self.chains.items() if where == scope and chain[-1].v}
        for id in sorted(expected.keys() | found.keys()):
            if expected.get(id) != found.get(id):
                self.problem("durable", f"{scope}, row {id} is {short(found.get(id))}, not {short(expected.get(id))}")


def short(value):
    """Values are long so that sockets fill; who reads of a problem need not see it."""
    text = re.sub(r"\.{5,}", "...", value if isinstance(value, str) else repr(value))
    return text if len(text) < 4000 else text[:4000] + "…"
