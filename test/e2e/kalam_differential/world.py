"""The same tables on both sides, filled, flushed and changed alike, and how a statement's two answers are compared."""

from kalam_testlib.http_client import flush

from . import compare
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
        """The rows of a table as DuckDB has them, by key."""
        self.plain_as(user)
        rows = self.plain.run(f"SELECT {', '.join(column.name for column in table.columns)} FROM {table.name}")
        return {table.key_of(row): row for row in rows}

    def compare_contents(self, user, table):
        names = ", ".join(column.name for column in table.columns)
        sql = f"SELECT {names} FROM {table.name}"
        self.plain_as(user)
        plain = self.plain.answer(sql)
        self.compare_rows(sql, plain, self.clients[user].result(sql, namespace=self.namespace), ordered=False)

    def change(self):
        """One random change, its count and the table behind it compared."""
        user, table = self.chance.choice(USERS), self.chance.choice(self.tables)
        change = Changes(self.chance, table, self.tables).change()
        before = self.contents(user, table)
        plain = self.plain.answer(change.sql(kalam=False))
        after = self.contents(user, table)
        sql = change.sql(kalam=True)
        response = self.clients[user].sql(sql, namespace=self.namespace)
        self.statements += 1
        if ("error" in plain) != (not response.ok) or crashed(response):
            raise Disagreement("only one side fails", sql, plain.get("error", "ok"), response.text[:1000])
        if response.ok:
            self.succeeded += 1
            changed = sum(before.get(key) != row for key, row in after.items()) + len(before.keys() - after.keys())
            count = response.results[-1]["row_count"]
            if count != changed:
                raise Disagreement("different counts", sql, changed, count)
            self.with_rows += changed > 0
        try:
            self.compare_contents(user, table)
        except Disagreement as disagreement:
            raise Disagreement("different contents", sql, plain, disagreement) from None

    def flush(self):
        flush(self.root, f"STORAGE FLUSH ALL IN {self.namespace}")

    def compare_random_query(self):
        queries = Queries(self.chance, self.tables)
        self.compare_query(self.chance.choice(USERS), queries.query())

    def close(self):
        self.plain.close()
