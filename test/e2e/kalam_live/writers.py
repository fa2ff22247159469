"""Who writes: each writer to keys of its own in all tables and to keys that all contend for, beside one that flushes, compacts,
vacuums, alters and drops."""

import random
import threading

from kalam_testlib import LoadThread, wait_until

from .history import UNKNOWN, Commit

TABLES = {"h.shared": "SHARED", "h.own": "USER"}  # those that are there all the time
KEYS = 12  # of a writer, in each table
KEYS_OF_A_WRITER = 10_000
CONTENDED_KEY = 500_000
END_KEY = 1_000_000

# What may answer a statement beside its success; nothing of it is done then.
REFUSALS = ("run the whole transaction again", "meanwhile")
EXISTS = "already exists"
NO_TABLE = "not found"


class Journal:
    """What a writer knows of its rows; it outlives the server."""

    def __init__(self, number, user, seed):
        self.name, self.user, self.low = f"w{number}", user, number * KEYS_OF_A_WRITER
        self.chance = random.Random(seed)
        self.cells = {}  # (table, id) → (g, v)
        self.pending = None  # the Commit that is not answered
        self.values = 0
        self.stream_keys = 0  # how many were used; those of STREAM tables are not used again

    def value(self):
        self.values += 1
        return f"{self.name}.{self.values}." + "." * self.chance.choice((0, 0, 0, 6000))


class Contended:
    """Keys of a scope that several writers insert, update and delete. The next one is inserted by whoever is first; one that
    was deleted is not inserted again. What is noted here may be late, which makes statements that meet no row."""

    def __init__(self):
        self.lock = threading.Lock()
        self.next = CONTENDED_KEY
        self.alive = []

    def change(self, chance, table, g, v, taken):
        """(statement, id, the new g, v and p) of some key that is not in `taken`, or None."""
        with self.lock:
            first, alive = self.next, list(self.alive)
        kind = chance.random()
        keys = [id for id in alive[-3:] if id not in taken]
        if (kind < 0.25 or not alive) and first not in taken:
            return f"INSERT INTO {table} (id, g, v) VALUES ({first}, {g}, '{v}')", first, (g, v, None)
        if kind < 0.35 and len(alive) > 4 and alive[0] not in taken:
            return f"DELETE FROM {table} WHERE id = {alive[0]} RETURNING v", alive[0], (None, None, UNKNOWN)
        if not keys:
            return None
        id = chance.choice(keys)
        return f"UPDATE {table} SET p = v, g = {g}, v = '{v}' WHERE id = {id} RETURNING p", id, (g, v, UNKNOWN)

    def look(self, ids):
        """After a kill."""
        self.alive = sorted(ids)
        self.next = max([self.next, *(id + 1 for id in ids)])

    def note(self, id, v, p):
        """Of what was done, or of an INSERT that has found its key there."""
        with self.lock:
            if v is None and id in self.alive:
                self.alive.remove(id)
            elif p is None and id == self.next:
                self.next += 1
                self.alive.append(id)


class Writer(LoadThread):
    """`world` has the tables that there are, the contended keys and the commits."""

    def __init__(self, client, journal, world):
        super().__init__()
        self.client, self.journal, self.world = client, journal, world

    def work(self):
        for _ in range(self.world.steps):
            self.step()

    def step(self):
        journal, chance = self.journal, self.journal.chance
        count = chance.choice((1, 1, 1, 2, 3, 4))
        tables = dict(self.world.tables)
        journal.cells = {cell: value for cell, value in journal.cells.items() if cell[0] in tables}
        if count > 1:
            tables = {table: kind for table, kind in tables.items() if kind != "STREAM"}
        after = dict(journal.cells)
        statements, contended, counts = [], [], {}
        for _ in range(count):
            if chance.random() < 0.25:
                sql = self.change_contended(contended, len(statements))
            else:
                sql, rows = self.change_rows(tables, after)
                counts.update({len(statements): rows} if sql else {})
            statements += [sql] if sql else []
        if not statements:
            return
        sql = "; ".join(statements)
        ends = "COMMIT"
        if count > 1:
            ends = chance.choice(("COMMIT",) * 5 + ("ROLLBACK",))
            sql = f"BEGIN; {sql}; {ends}"
        commit = Commit(journal.name, journal.user, sql, difference(journal.cells, after))
        commit.contended = [row for row, _ in contended]
        if ends == "ROLLBACK":
            commit.outcome = "failed"  # However it is answered.
        else:
            journal.pending = commit
        self.world.commits.append(commit)
        response = self.client.sql(sql)
        if response.ok:
            results = response.results[1 if count > 1 else 0 :]
            found = {place: results[place]["row_count"] for place in counts}
            assert found == counts, (sql, counts, response)
        else:
            assert self.may_refuse(response.message, tables, contended), (sql, response)
        if commit.outcome == "unknown":
            if response.ok:
                self.take_replaced(commit, contended, results)
                journal.cells = after
            commit.outcome = "done" if response.ok else "failed"
        journal.pending = None

    def may_refuse(self, message, tables, contended):
        if EXISTS in message:
            # Somebody else was first, or the note of it was late.
            inserts = [row for row, _ in contended if row[4] is None]
            for table, id, _, v, p in inserts:
                self.world.keys_of(self.journal.user, table).note(id, v, p)
            return len(inserts) > 0
        is_gone = NO_TABLE in message and self.is_dropping(tables)
        return is_gone or any(text in message for text in REFUSALS)

    def is_dropping(self, tables):
        """Whether any of them has been dropped, or is now."""
        return not tables.keys() <= self.world.tables.keys()

    def take_replaced(self, commit, contended, results):
        """Of contended rows, which were met, and what was there before."""
        commit.contended = []
        for row, place in contended:
            if row[4] == UNKNOWN:
                replaced = results[place]["rows"]
                if not replaced:
                    continue
                row[4] = replaced[0][0]
            commit.contended.append(row)
            self.world.keys_of(self.journal.user, row[0]).note(row[1], row[3], row[4])

    def change_contended(self, contended, place):
        chance = self.journal.chance
        table = chance.choice(list(TABLES))
        keys = self.world.keys_of(self.journal.user, table)
        taken = [row[1] for row, _ in contended if row[0] == table]
        change = keys.change(chance, table, chance.randrange(5), self.journal.value(), taken)
        if change is None:
            return None
        sql, id, (g, v, p) = change
        contended.append(([table, id, g, v, p], place))
        return sql

    def change_rows(self, tables, cells):
        """A statement on some rows of some table, and how many; `cells` becomes what it leads to. (None, 0): there are none."""
        journal, chance = self.journal, self.journal.chance
        table = chance.choice(list(tables))
        g, v = chance.randrange(5), journal.value()
        keys = range(journal.low, journal.low + KEYS)
        kind = chance.random()
        if tables[table] == "STREAM":
            return self.change_stream(table, cells, g, v)
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
        return (sql, len(ids)) if ids else (None, 0)

    def change_stream(self, table, cells, g, v):
        journal, chance = self.journal, self.journal.chance
        there = sorted(id for where, id in cells if where == table)
        if there and chance.random() < 0.4:
            ids = there[: chance.choice((1, 1, 3))]
            for id in ids:
                del cells[table, id]
            return f"DELETE FROM {table} WHERE id IN ({', '.join(map(str, ids))})", len(ids)
        low = journal.low + KEYS + journal.stream_keys
        ids = range(low, low + chance.choice((1, 1, 3)))
        journal.stream_keys += len(ids)
        for id in ids:
            cells[table, id] = (g, v)
        return f"INSERT INTO {table} (id, g, v) VALUES " + ", ".join(f"({id}, {g}, '{v}')" for id in ids), len(ids)


def difference(before, after):
    changed = [cell for cell in before.keys() | after.keys() if before.get(cell) != after.get(cell)]
    return [[*cell, *after.get(cell, (None, None))] for cell in sorted(changed)]


def settle(client, journal, world):
    """After a kill: looks what is there of the writer's rows, for the checker to judge, and goes on from it."""
    found = {}
    for table in world.tables:
        where = f"id >= {journal.low} AND id < {journal.low + KEYS_OF_A_WRITER}"
        for id, g, v in client.rows(f"SELECT id, g, v FROM {table} WHERE {where}"):
            found[table, id] = (g, v)
    if journal.pending is None:
        world.commits.append(Commit(journal.name, journal.user, "", []))
        journal.pending = world.commits[-1]
    journal.pending.found = [[*cell, *value] for cell, value in sorted(found.items())]
    journal.pending.looked = list(world.tables)
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
        most = len(self.world.commits) + self.world.most_commits
        drops = {table: most - self.chance.randrange(most // 2 + 1) for table in self.world.brief_tables()}
        while True:
            due = len(self.world.commits) + self.chance.randrange(5, 30)
            wait_until(lambda: len(self.world.commits) >= due or self.ended.is_set(), "commits")
            if self.ended.is_set():
                return
            for table, when in list(drops.items()):
                if len(self.world.commits) >= when:
                    del drops[table]
                    self.world.drop(self.client, table)
            table = self.chance.choice(list(self.world.tables))
            self.world.statements += 1
            number = self.world.statements
            statement = self.chance.choice(self.STATEMENTS).format(table, number, number)
            response = self.client.sql(statement)
            assert response.ok or response.status < 500, (statement, response)
