"""A result of a live query as a client keeps it, and what SELECT answers."""

import math

from .ws_client import change_row


class Result:
    """The rows of a result as a client keeps them: by key, each message applied in its turn."""

    def __init__(self, live, keys):
        self.live = live
        self.keys = keys

    def rows(self):
        table, seq = {}, 0
        for message in self.live.messages:
            if message["type"] == "initial_data_batch":
                for row in message["rows"]:
                    seq = max(seq, int(row["_seq"]))
                    assert self.key(row) not in table, f"twice: {row}"
                    table[self.key(row)] = row
            elif message["type"] == "change":
                row, kind = change_row(message), message["change_type"]
                assert int(row["_seq"]) >= seq, f"{message} after {seq}"
                seq = int(row["_seq"])
                if kind == "delete":
                    assert table.pop(self.key(row), None) is not None, f"delete of what is not there: {message}"
                else:
                    assert (kind == "insert") == (self.key(row) not in table), f"{message}: {table.get(self.key(row))}"
                    table[self.key(row)] = row
        return table

    def key(self, row):
        return tuple(row.get(key) for key in self.keys)


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return a == b


def check(root, sql, result):
    """The client's rows are those of SELECT."""
    expected = {result.key(row): row for row in root.dicts(sql)}
    rows = result.rows()
    assert rows.keys() == expected.keys(), sql
    for key, row in expected.items():
        for column, value in row.items():
            # Its own: that of the change that brought the row.
            assert column == "_seq" or same(rows[key].get(column), value), (sql, column, rows[key], row)
