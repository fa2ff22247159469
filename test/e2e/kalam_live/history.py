"""What was recorded of a run: what writers were told, what each subscriber received, what is in the tables at the end.

A row is known by its value: every statement writes a `v` of its own. Most keys belong to one writer, so that the versions of a
row have an order that does not depend on what the server says. Others are contended: whoever writes one learns the `v` that it
replaces, `p`, which links the versions in the order that the server has made.
"""

import dataclasses
import json
import re

COLUMNS = ("g", "v")  # what a row has beside its key
UNKNOWN = "?"
ENDS = ("KILLED", "TABLE_DROPPED", "NOT_FOUND")  # behind such an error nothing more comes


@dataclasses.dataclass
class Commit:
    """A statement or a transaction. Without an answer its outcome is "unknown", and `found` what its writer has found
    after the restart; one of no rows is such a look without anything that was under way."""

    writer: str
    user: str
    sql: str
    rows: list  # of the writer's own keys, [table, id, g, v]; g and v are None where it deletes
    outcome: str = "unknown"  # "done", "failed"
    found: list = None  # rows like those above
    looked: list = None  # the tables in which they were looked for
    # [table, id, g, v, p]: those that it has met; p is None where it inserts, and UNKNOWN without an answer.
    contended: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Session:
    """One subscribe and what came, until the socket was cut or to the end. `cursor`: its `from`; None: a snapshot."""

    cursor: int
    messages: list = dataclasses.field(default_factory=list)
    kill_asked: bool = False
    killed: bool = False  # by an acknowledged KILL LIVE QUERY, and not cut before the client was told


@dataclasses.dataclass
class Subscription:
    name: str
    user: str
    table: str
    columns: str  # "*" or a projection, with id and v
    below: int  # the filter g < below; None: no filter
    sessions: list = dataclasses.field(default_factory=list)
    final: list = None  # what a SELECT with the same filter finds at the end: {"id", "_seq", "v"}; None: the table was dropped
    last_rows: int = None  # the option; None: all rows

    @property
    def where(self):
        return "" if self.below is None else f" WHERE g < {self.below}"

    def matches(self, g):
        return g is not None and (self.below is None or g < self.below)


@dataclasses.dataclass
class History:
    seed: int
    tables: dict = dataclasses.field(default_factory=dict)  # name → kind, also of those that were dropped
    commits: list = dataclasses.field(default_factory=list)  # those of a writer in their order
    subscriptions: list = dataclasses.field(default_factory=list)
    dropped: list = dataclasses.field(default_factory=list)  # names of tables
    looks: list = dataclasses.field(default_factory=list)  # [how many commits there were, user, table, contended rows] after kills
    final: list = dataclasses.field(default_factory=list)  # [user, table, rows like Subscription.final's with g]

    def scope(self, user, table):
        """Whose rows are seen together."""
        return (table, "" if self.tables[table] == "SHARED" else user)

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


def short(value):
    """Values are long so that sockets fill; who reads of a problem need not see it."""
    text = re.sub(r"\.{5,}", "...", value if isinstance(value, str) else repr(value))
    return text if len(text) < 4000 else text[:4000] + "…"
