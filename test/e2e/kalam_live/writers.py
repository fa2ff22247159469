"""Who writes: each writer to keys of its own in all tables, beside one that flushes, compacts, vacuums and alters."""

import random
import threading

from kalam_testlib import LoadThread, wait_until

from .history import Commit

TABLES = {"h.shared": "SHARED", "h.own": "USER"}
KEYS = 12  # of a writer, in each table
KEYS_OF_A_WRITER = 1000
END_KEY = 1_000_000

# What may answer a statement beside its success; nothing of it is done then.
REFUSALS = ("run the whole transaction again", "meanwhile")


class Journal:
    """What a writer knows of its rows; it outlives the server."""

    def __init__(self, number, user, seed):
        self.name, self.user, self.low = f"w{number}", user, number * KEYS_OF_A_WRITER
        self.chance = random.Random(seed)
        self.cells = {}  # (table, id) → (g, v)
        self.pending = None  # the Commit that is not answered
        self.values = 0

    def value(self):
        self.values += 1
        return f"{self.name}.{self.values}." + "." * self.chance.choice((0, 0, 0, 6000))


class Writer(LoadThread):
    def __init__(self, client, journal, commits, steps):
        super().__init__()
        self.client, self.journal, self.commits, self.steps = client, journal, commits, steps

    def work(self):
        for _ in range(self.steps):
            self.step()

    def step(self):
        journal, chance = self.journal, self.journal.chance
        count = chance.choice((1, 1, 1, 2, 3, 4))
        after = dict(journal.cells)
        statements = [sql for sql in (self.change_rows(after) for _ in range(count)) if sql]
        if not statements:
            return
        sql = "; ".join(statements)
        ends = "COMMIT"
        if count > 1:
            ends = chance.choice(("COMMIT",) * 5 + ("ROLLBACK",))
            sql = f"BEGIN; {sql}; {ends}"
        commit = Commit(journal.name, journal.user, sql, difference(journal.cells, after))
        if ends == "ROLLBACK":
            commit.outcome = "failed"  # However it is answered.
        else:
            journal.pending = commit
        self.commits.append(commit)
        response = self.client.sql(sql)
        refused = not response.ok and any(text in response.message for text in REFUSALS)
        assert response.ok or refused, (sql, response)
        if commit.outcome == "unknown":
            commit.outcome = "done" if response.ok else "failed"
            if response.ok:
                journal.cells = after
        journal.pending = None

    def change_rows(self, cells):
        """A statement on some rows of some table; `cells` becomes what it leads to. None: there are no such rows."""
        journal, chance = self.journal, self.journal.chance
        table = chance.choice(list(TABLES))
        g, v = chance.randrange(5), journal.value()
        keys = range(journal.low, journal.low + KEYS)
        kind = chance.random()
        if kind < 0.45:
            ids = chance.sample(keys, chance.choice((1, 1, 5)))
            if kind > 0.1:
                ids = [id for id in ids if (table, id) not in cells]
            sql = f"INSERT INTO {table} (id, g, v) VALUES " + ", ".join(f"({id}, {g}, '{v}')" for id in ids)
            if kind <= 0.1:
                sql += " ON CONFLICT (id) DO UPDATE SET g = excluded.g, v = excluded.v"
        else:
            low = chance.choice(keys)
            high = low + chance.choice((0, 0, 3))
            ids = [id for id in keys if low <= id <= high and (table, id) in cells]
            change = f"UPDATE {table} SET g = {g}, v = '{v}'" if kind < 0.8 else f"DELETE FROM {table}"
            sql = f"{change} WHERE " + (f"id = {low}" if low == high else f"id BETWEEN {low} AND {high}")
            # Never a key of somebody else.
            sql += f" AND id < {journal.low + KEYS}" if high > keys[-1] else ""
        for id in ids:
            if kind < 0.8:
                cells[table, id] = (g, v)
            else:
                del cells[table, id]
        return sql if ids else None


def difference(before, after):
    changed = [cell for cell in before.keys() | after.keys() if before.get(cell) != after.get(cell)]
    return [[*cell, *after.get(cell, (None, None))] for cell in sorted(changed)]


def settle(client, journal, commits):
    """After a kill: looks what is there of the writer's rows, for the checker to judge, and goes on from it."""
    found = {}
    for table in TABLES:
        where = f"id >= {journal.low} AND id < {journal.low + KEYS}"
        for id, g, v in client.rows(f"SELECT id, g, v FROM {table} WHERE {where}"):
            found[table, id] = (g, v)
    if journal.pending is None:
        commits.append(Commit(journal.name, journal.user, "", []))
        journal.pending = commits[-1]
    journal.pending.found = [[*cell, *value] for cell, value in sorted(found.items())]
    journal.pending, journal.cells = None, found


class Maintenance(LoadThread):
    STATEMENTS = (
        "STORAGE FLUSH TABLE {}",
        "STORAGE FLUSH TABLE {}",
        "STORAGE COMPACT TABLE {}",
        "VACUUM TABLE {}",
        "ALTER TABLE {} ADD COLUMN e{} INT DEFAULT {}",
    )

    def __init__(self, client, world, seed):
        super().__init__()
        self.client, self.world, self.chance = client, world, random.Random(seed)
        self.ended = threading.Event()

    def work(self):
        while True:
            due = len(self.world.commits) + self.chance.randrange(5, 30)
            wait_until(lambda: len(self.world.commits) >= due or self.ended.is_set(), "commits")
            if self.ended.is_set():
                return
            table = self.chance.choice(list(TABLES))
            self.world.statements += 1
            number = self.world.statements
            statement = self.chance.choice(self.STATEMENTS).format(table, number, number)
            response = self.client.sql(statement)
            assert response.ok or response.status < 500, (statement, response)
