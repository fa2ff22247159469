"""The same tables on both sides, filled, flushed and changed alike, and how a statement's two answers are compared."""

from kalam_testlib.http_client import flush

from . import compare
from .alterations import Alterations
from .changes import Changes
from .plain import PlainDuckDb
from .queries import Queries
from .values import TYPES, random_table

USERS = ("ann", "ben")


def crashed(response):
    """Whether the server failed rather than the statement; 501 says that DuckDB cannot do it."""
    return response.status >= 500 and response.status != 501


class Disagreement(AssertionError):
    def __init__(self, what, sql, plain, kalam):
        super().__init__(f"{what}\n  {sql}\nDuckDB:  {plain}\nKalamDB: {kalam}")


class World:
    """Two USER tables, a SHARED one, a user table on DuckDB for each user in a schema of the user's name."""

    def __init__(self, server, chance, number):
        self.chance = chance
        self.namespace = f"world{number}"
        self.plain = PlainDuckDb()
        self.root = server.root()
        # Services, since they may write SHARED tables.
        self.clients = {user: server.user(user, "service") for user in USERS}
        self.alterations = Alterations(chance)
        self.statements = self.succeeded = self.with_rows = 0
        must_have = TYPES[:]
        chance.shuffle(must_have)
        shares = [must_have[0::3], must_have[1::3], must_have[2::3]]
        self.tables = [
            random_table(chance, "u1", "USER", shares[0]),
            random_table(chance, "u2", "USER", shares[1]),
            random_table(chance, "s1", "SHARED", shares[2]),
        ]
        self.create()

    def create(self):
        self.root.run(f"CREATE NAMESPACE {self.namespace}")
        for user in USERS:
            self.plain.run(f"CREATE SCHEMA {user}")
        for table in self.tables:
            self.clients[USERS[0]].run(table.create(kalam=True), namespace=self.namespace)
            for schema in USERS if table.kind == "USER" else ("main",):
                self.plain.run(f"USE {schema}")
                self.plain.run(table.create(kalam=False))

    def plain_as(self, user):
        self.plain.run(f"SET search_path = '{user},main'")

    def compare_query(self, user, query):
        """Runs a query on both sides; Disagreement where they differ."""
        self.plain_as(user)
        plain = self.plain.answer(query.sql)
        response = self.clients[user].sql(query.sql, namespace=self.namespace)
        self.statements += 1
        if "error" in plain or not response.ok:
            if crashed(response) or ("error" in plain) != (not response.ok):
                raise Disagreement("only one side fails", query.sql, plain.get("error", "ok"), response.text[:1000])
            return
        self.succeeded += 1
        self.with_rows += bool(plain["rows"])
        self.compare_rows(query.sql, plain, response.results[-1], query.ordered)

    @staticmethod
    def compare_rows(sql, plain, result, ordered):
        kinds = [field["data_type"] for field in result["schema"]]
        if len(kinds) != len(plain["types"]) or not all(map(compare.same_type, plain["types"], kinds)):
            raise Disagreement("different types", sql, plain["types"], kinds)
        types = plain["types"]
        expected = [list(map(compare.from_plain, row, types, kinds)) for row in plain["rows"]]
        actual = [[compare.from_wire(cell, kind) for cell, kind in zip(row, kinds)] for row in result["rows"]]
        if not compare.same_rows(kinds, expected, actual, ordered):
            raise Disagreement("different rows", sql, expected, actual)

    def contents(self, user, table):
        """DuckDB's answer with all rows of a table, and the rows by key."""
        self.plain_as(user)
        answer = self.plain.answer(f"SELECT {table.names()} FROM {table.name}")
        return answer, {table.key_of(row): row for row in answer["rows"]}

    def compare_contents(self, user, table, result=None):
        sql = f"SELECT {table.names()} FROM {table.name}"
        plain, _ = self.contents(user, table)
        self.compare_rows(sql, plain, result or self.clients[user].result(sql, namespace=self.namespace), ordered=False)

    def change_plain(self, user, table, change):
        """Runs a change on DuckDB: the error or None, and as an answer the rows that it wrote: new ones as they are now,
        deleted ones as they were."""
        answer, before = self.contents(user, table)
        error = self.plain.answer(change.sql(kalam=False)).get("error")
        _, after = self.contents(user, table)
        written = [row for key, row in after.items() if before.get(key) != row]
        written += [row for key, row in before.items() if key not in after]
        return error, {"types": answer["types"], "rows": written}

    def check_change(self, sql, written, result):
        """A change's count, and what its RETURNING gave."""
        self.with_rows += bool(written["rows"])
        if result["row_count"] != len(written["rows"]):
            raise Disagreement("different counts", sql, len(written["rows"]), result["row_count"])
        if "rows" in result:
            self.compare_rows(sql, written, result, ordered=False)

    def change(self):
        """One random change, with its count, the rows of its RETURNING and the table behind it compared."""
        user, table = self.chance.choice(USERS), self.chance.choice(self.tables)
        change = Changes(self.chance, table, self.tables).change()
        error, written = self.change_plain(user, table, change)
        sql = change.sql(kalam=True) + self.chance.choice(("", f" RETURNING {table.names()}"))
        response = self.clients[user].sql(sql, namespace=self.namespace)
        self.statements += 1
        if (error is None) != response.ok or crashed(response):
            raise Disagreement("only one side fails", sql, error, response.text[:1000])
        if response.ok:
            self.succeeded += 1
            self.check_change(sql, written, response.results[-1])
        try:
            self.compare_contents(user, table)
        except Disagreement as disagreement:
            raise Disagreement("different contents", sql, error, disagreement) from None

    def transaction(self):
        """Some changes in one transaction, which reads its own writes and is then committed or rolled back. DuckDB gets them
        without one, and the rows of before where nothing is to stay: its own checks of keys are too eager in transactions."""
        user = self.chance.choice(USERS)
        self.plain_as(user)
        for table in self.tables:
            self.plain.run(f"CREATE OR REPLACE TEMP TABLE {table.name}_before AS FROM {table.name}")
        statements, written, tables, error = ["BEGIN"], [], [], None
        while error is None and len(written) < self.chance.randint(2, 4):
            tables.append(self.chance.choice(self.tables))
            change = Changes(self.chance, tables[-1], self.tables).change()
            statements.append(change.sql(kalam=True))
            error, rows = self.change_plain(user, tables[-1], change)
            written.append(rows)
        commits = self.chance.random() < 0.6
        statements += [f"SELECT {tables[-1].names()} FROM {tables[-1].name}", "COMMIT" if commits else "ROLLBACK"]
        sql = "; ".join(statements)
        response = self.clients[user].sql(sql, namespace=self.namespace)
        self.statements += len(statements)
        if (error is None) != response.ok or crashed(response):
            raise Disagreement("only one side fails", sql, error, response.text[:1000])
        if response.ok:
            self.succeeded += len(statements)
            for rows, result in zip(written, response.results[1:]):
                self.check_change(sql, rows, result)
            self.compare_contents(user, tables[-1], response.results[-2])
        self.plain_as(user)
        for table in self.tables if error or not commits else ():
            self.plain.run(f"DELETE FROM {table.name}")
            self.plain.run(f"INSERT INTO {table.name} FROM {table.name}_before")
        try:
            for table in self.tables:
                self.compare_contents(user, table)
        except Disagreement as disagreement:
            raise Disagreement("different contents", sql, error, disagreement) from None

    def alter(self):
        """One random ALTER TABLE, and what all users' rows are afterwards."""
        table = self.chance.choice(self.tables)
        plain, kalam = self.alterations.alter(table)
        for schema in USERS if table.kind == "USER" else ("main",):
            self.plain.run(f"USE {schema}")
            self.plain.run(plain)
        self.clients[USERS[0]].run(kalam, namespace=self.namespace)  # Who created the table.
        self.statements += 1
        self.succeeded += 1
        for user in USERS:
            try:
                self.compare_contents(user, table)
            except Disagreement as disagreement:
                raise Disagreement("different contents", kalam, None, disagreement) from None

    def flush(self):
        flush(self.root, f"STORAGE FLUSH ALL IN {self.namespace}")

    def compare_random_query(self):
        queries = Queries(self.chance, self.tables)
        self.compare_query(self.chance.choice(USERS), queries.query())

    def close(self):
        self.plain.close()
