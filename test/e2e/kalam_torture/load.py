"""Who writes: each writer to rows, columns and a table of its own, beside one that flushes and compacts."""

import random
import time

from kalam_testlib import LoadThread

WRITERS = 4
KEYS = 40
KEYS_OF_A_WRITER = 1000
COLUMNS = "id INT PRIMARY KEY, v TEXT, n INT"
# Tables that all write to, each its own ids: name → (kind, storage).
COMMON = {
    "k.shared_local": ("SHARED", "local"),
    "k.user_local": ("USER", "local"),
    "k.shared_disk": ("SHARED", "disk"),
    "k.user_disk": ("USER", "disk"),
    "k.shared_bucket": ("SHARED", "bucket"),
}
OWN = "own"  # in cells, the table that a writer has for itself

# What may answer a statement beside its success; nothing of it is done then.
REFUSALS = ("run the whole transaction again", "cannot be read now", "meanwhile")


class Writer(LoadThread):
    """Writes until the server is gone. Every value is written once, so that it tells which write it was."""

    def __init__(self, client, number, journal, seed):
        super().__init__()
        self.client, self.number, self.journal = client, number, journal
        self.chance = random.Random(seed)
        self.acknowledged = 0
        self.refused = 0

    def work(self):
        while True:
            self.step()

    def step(self):
        kind = self.chance.random()
        if kind < 0.75:
            statements = 1
        elif kind < 0.85:
            statements = self.chance.choice((2, 3, 5))
        else:
            return self.change_definition()
        after = dict(self.journal.cells)
        changes = [change for change in (self.change_rows(after) for _ in range(statements)) if change]
        if not changes:
            return None
        sql = "; ".join(sql for sql, _ in changes)
        counts = [count for _, count in changes]
        if statements > 1:
            sql, counts = f"BEGIN; {sql}; COMMIT", [None, *counts, None]
        return self.send(sql, after, counts)

    def send(self, sql, after, counts=()):
        self.journal.begin(sql, after)
        response = self.client.sql(sql)
        refused = not response.ok and any(text in response.message for text in REFUSALS)
        assert response.ok or refused, (sql, response)
        if response.ok:
            found = [result["row_count"] for result in response.results]
            assert all(count in (None, rows) for count, rows in zip(counts, found)), (sql, counts, response)
        self.journal.end(response.ok, "acknowledged" if response.ok else response.message)
        self.acknowledged += response.ok
        self.refused += refused

    def own_name(self):
        return self.journal.cells[("table",)][0]

    def change_rows(self, cells):
        """A statement on some rows of some table, and how many; `cells` becomes what it leads to."""
        table = self.chance.choice([*COMMON, OWN] if ("table",) in cells else list(COMMON))
        name = self.own_name() if table == OWN else table
        value = f"{self.number}-{self.chance.getrandbits(60):x}"
        kind = self.chance.random()
        low = self.number * KEYS_OF_A_WRITER
        if kind < 0.45:
            ids = [low + index for index in self.chance.sample(range(KEYS), self.chance.choice((1, 1, 8)))]
            if kind > 0.15:
                ids = [id for id in ids if ("row", table, id) not in cells]
            rows = ", ".join(f"({id}, '{value}', {id})" for id in ids)
            sql = f"INSERT INTO {name} (id, v, n) VALUES {rows}"
            if kind <= 0.15:
                sql += " ON CONFLICT (id) DO UPDATE SET v = excluded.v || '' RETURNING id"
        else:
            low += self.chance.randrange(KEYS)
            high = low + self.chance.choice((0, 0, 5))
            ids = [id for id in range(low, high + 1) if ("row", table, id) in cells]
            where = f"id = {low}" if low == high else f"id BETWEEN {low} AND {high}"
            change = f"UPDATE {name} SET v = '{value}'" if kind < 0.8 else f"DELETE FROM {name}"
            sql = f"{change} WHERE {where}"
        if not ids:
            return None
        for id in ids:
            if kind < 0.8:
                cells["row", table, id] = value
            else:
                del cells["row", table, id]
        return sql, len(ids)

    def change_definition(self):
        after = dict(self.journal.cells)
        kind = self.chance.random()
        if kind < 0.3:
            table = self.chance.choice(list(COMMON))
            column = ("column", table, f"e{self.number}")
            if after.pop(column, None) is None:
                after[column] = self.chance.randrange(1 << 30)
                return self.send(f"ALTER TABLE {table} ADD COLUMN e{self.number} INT DEFAULT {after[column]}", after)
            return self.send(f"ALTER TABLE {table} DROP COLUMN e{self.number}", after)

        # Few names, so that they are used again.
        name = f"k.own{self.number}_{self.chance.randrange(3)}"
        if ("table",) not in after:
            storage = self.chance.choice(("local", "disk", "bucket"))
            after["table",] = (name, storage)
            table_kind = self.chance.choice(("SHARED", "USER"))
            return self.send(f"CREATE {table_kind} TABLE {name} ({COLUMNS}) WITH (STORAGE_ID = '{storage}')", after)
        old, storage = after["table",]
        if kind < 0.55 and name != old:
            after["table",] = (name, storage)
            return self.send(f"ALTER TABLE {old} RENAME TO {name.removeprefix('k.')}", after)
        if kind < 0.7 and storage != "bucket":
            storage = "disk" if storage == "local" else "local"
            after["table",] = (old, storage)
            return self.send(f"ALTER TABLE {old} SET TBLPROPERTIES (STORAGE_ID = '{storage}')", after)
        for cell in [cell for cell in after if cell[:2] == ("row", OWN)]:
            del after[cell]
        if kind < 0.85:
            return self.send(f"TRUNCATE TABLE {old}", after)
        del after["table",]
        return self.send(f"DROP TABLE {old}", after)


class Maintenance(LoadThread):
    """Flushes, compacts and vacuums what there is, and makes the bucket's service stumble, until the server is gone."""

    FLUSH = "STORAGE FLUSH TABLE {}"
    STATEMENTS = (FLUSH, FLUSH, FLUSH, "STORAGE COMPACT TABLE {}", "OPTIMIZE TABLE {}", "VACUUM {}", "ANALYZE TABLE {}")
    ALL = ("STORAGE FLUSH ALL IN k", "STORAGE COMPACT ALL IN k", "VACUUM")
    FAULTS = (
        {"kind": "status", "status": 503, "code": "SlowDown"},
        {"kind": "refuse"},
        {"kind": "lost_answer"},
        {"kind": "cut", "after": 100},
    )

    def __init__(self, client, journals, gateway, seed):
        super().__init__()
        self.client, self.journals, self.gateway = client, journals, gateway
        self.chance = random.Random(seed)

    def work(self):
        while True:
            self.step()
            time.sleep(0.01)  # Not waiting for anything: it spaces the flushes out, so that rows are hot and cold.

    def step(self):
        if self.chance.random() < 0.1:
            self.gateway.fail(self.chance.choice(self.FAULTS))
        own = [journal.cells.get(("table",)) for journal in self.journals]
        tables = [*COMMON, *(cell[0] for cell in own if cell)]
        statement = self.chance.choice(self.STATEMENTS + self.ALL).format(self.chance.choice(tables))
        response = self.client.sql(statement)
        # The table may have got another name, or be gone.
        assert response.ok or response.status < 500, (statement, response)
