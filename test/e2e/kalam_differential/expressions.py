"""Random expressions over the columns of a scope. None of them fails for some rows only: whether such a row is reached
depends on the plan, and the two sides plan differently."""

from .values import TYPES

FAMILIES = sorted({kind.family for kind in TYPES})
# What MIN, MAX, ORDER BY and < are used on.
ORDERED = [family for family in FAMILIES if family not in ("json", "vector")]
COMPARISONS = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
# Of these, both sides answer the same with ->> (with -> they differ where JSON's null is).
STEPS = ["'a'", "'b'", "0"]
PATTERNS = ["a%", "%b", "_b%", "%", "", "%o''c%", "A_", "%\\%%", "Ü%"]


class Scope:
    """What expressions may name: (reference, family) of each column, and the references whose values no two rows share
    (none where that is not known)."""

    def __init__(self, columns, unique=()):
        self.columns = columns
        self.unique = list(unique)

    def of(self, family):
        return [reference for reference, its_family in self.columns if its_family == family]


class Expressions:
    def __init__(self, chance):
        self.chance = chance

    def pick(self, *makers):
        return self.chance.choice(makers)()

    def literal(self, family):
        kind = self.chance.choice([kind for kind in TYPES if kind.family == family])
        return kind.literal(self.chance.choice(kind.values))

    def leaf(self, scope, family):
        columns = scope.of(family)
        if columns and self.chance.random() < 0.85:
            return self.chance.choice(columns)
        return self.literal(family)

    def any(self, scope, depth=2, families=None):
        """An expression of some family, as (SQL, family); mostly of one that the scope has columns of."""
        there = [family for family in families or FAMILIES if scope.of(family)]
        family = self.chance.choice(there if there and self.chance.random() < 0.8 else families or FAMILIES)
        return self.of(scope, family, depth), family

    def of(self, scope, family, depth=2):
        if depth <= 0 or self.chance.random() < 0.35:
            return self.leaf(scope, family)
        if family != "vector" and self.chance.random() < 0.25:  # DuckDB has no CASE of arrays.
            return self.generic(scope, family, depth - 1)
        return getattr(self, family)(scope, depth - 1)

    def generic(self, scope, family, depth):
        a, b = self.of(scope, family, depth), self.of(scope, family, depth)
        condition = self.bool(scope, depth)
        makers = [
            lambda: f"CASE WHEN {condition} THEN {a} ELSE {b} END",
            lambda: f"CASE WHEN {condition} THEN {a} END",
            lambda: f"COALESCE({a}, {b})",
            lambda: f"NULLIF({a}, {b})",
        ]
        if family in ("int", "text", "day", "moment"):
            makers += [lambda: f"GREATEST({a}, {b})", lambda: f"LEAST({a}, {b})"]
        return self.pick(*makers)

    def bool(self, scope, depth):
        chance = self.chance
        sub = depth - 1
        if depth > 0 and chance.random() < 0.3:
            a, b = self.bool(scope, sub), self.bool(scope, sub)
            return self.pick(
                lambda: f"({a} AND {b})", lambda: f"({a} OR {b})", lambda: f"NOT ({a})", lambda: f"({a}) IS TRUE",
                lambda: f"({a}) IS NOT FALSE", lambda: f"({a}) IS NULL",
            )  # fmt: skip
        family = chance.choice([family for family in ORDERED if scope.of(family)] or ["int"])
        a, b = self.of(scope, family, sub), self.of(scope, family, sub)
        makers = [
            lambda: f"({a} {chance.choice(COMPARISONS)} {b})",
            lambda: f"({a} {chance.choice(COMPARISONS)} {self.literal(family)})",
            lambda: f"({a} IS {chance.choice(('', 'NOT '))}NULL)",
            lambda: f"({a} {chance.choice(('', 'NOT '))}BETWEEN {self.literal(family)} AND {b})",
            lambda: f"({a} {chance.choice(('', 'NOT '))}IN ({self.list(scope, family)}))",
        ]
        if scope.of("text"):
            text = self.of(scope, "text", sub)
            operator = chance.choice(("LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"))
            makers += [
                lambda: f"({text} {operator} '{chance.choice(PATTERNS)}')",
                lambda: f"starts_with({text}, '{chance.choice(('a', 'A', 'Ü', ''))}')",
                lambda: f"contains({text}, {self.of(scope, 'text', 0)})",
                lambda: f"regexp_matches({text}, '{chance.choice(('^[a-z]+$', '[0-9]', 'b$'))}')",
            ]
        if scope.of("json"):
            json = self.leaf(scope, "json")
            makers += [
                lambda: f"(({json} ->> {chance.choice(STEPS)}) {chance.choice(('=', '<>'))} '{chance.choice(('1', 'ü', 'x'))}')",
                lambda: f"(({json} -> 'b') IS {chance.choice(('', 'NOT '))}NULL)",
            ]
        if scope.of("vector"):
            vector = self.leaf(scope, "vector")
            makers.append(lambda: f"({vector} IS {chance.choice(('', 'NOT '))}NULL)")
        return self.pick(*makers)

    def list(self, scope, family):
        items = [self.literal(family) for _ in range(self.chance.randint(1, 5))]
        if self.chance.random() < 0.2:
            items.append("NULL")
        if self.chance.random() < 0.2:
            items.append(self.leaf(scope, family))
        return ", ".join(items)

    def int(self, scope, depth):
        a, b = self.of(scope, "int", depth), self.of(scope, "int", depth)
        makers = [
            lambda: f"(({a}) % 1000 + ({b}) % 1000)",
            lambda: f"(({a}) % 1000 - ({b}) % 7)",
            lambda: f"(({a}) % 100 * (({b}) % 10))",
            lambda: f"(({a}) // 3)",
            lambda: f"(({a}) % NULLIF(({b}) % 5, 0))",
            lambda: f"abs(({a}) % 1000)",
            lambda: f"sign({a})",
            lambda: f"TRY_CAST({a} AS SMALLINT)",
            lambda: f"CAST({self.bool(scope, depth)} AS INTEGER)",
        ]
        if scope.of("text"):
            text = self.of(scope, "text", depth)
            makers += [
                lambda: f"length({text})",
                lambda: f"strpos({text}, 'b')",
                lambda: f"TRY_CAST({text} AS INTEGER)",
            ]
        if scope.of("json"):
            json = self.leaf(scope, "json")
            makers.append(lambda: f"TRY_CAST({json} ->> {self.chance.choice(STEPS)} AS INTEGER)")
        for family in ("day", "moment", "instant"):
            if scope.of(family):
                moment = self.leaf(scope, family)
                part = self.chance.choice(("year", "month", "day", "dow", "doy", "quarter"))
                makers.append(lambda part=part, moment=moment: f"EXTRACT({part} FROM {moment})")
        return self.pick(*makers)

    def text(self, scope, depth):
        a, b = self.of(scope, "text", depth), self.of(scope, "text", depth)
        # BYTES and EMBEDDING become text as KalamDB's clients know them, not as DuckDB has it.
        other, _ = self.any(scope, 0, [family for family in FAMILIES if family not in ("bytes", "vector")])
        json = self.leaf(scope, "json")
        return self.pick(
            lambda: f"({json} ->> {self.chance.choice(STEPS)})", lambda: f"upper({a})", lambda: f"lower({a})", lambda: f"({a} || {b})", lambda: f"concat({a}, '-', {b})",
            lambda: f"substr({a}, 1, 2)", lambda: f"replace({a}, 'a', {b})", lambda: f"trim({a})",
            lambda: f"reverse({a})", lambda: f"left({a}, 1)", lambda: f"lpad({a}, 4, '.')",
            lambda: f"CAST({other} AS VARCHAR)", lambda: f"split_part({a}, '_', 1)",
        )  # fmt: skip

    def float(self, scope, depth):
        a, b = self.of(scope, "float", depth), self.of(scope, "float", depth)
        return self.pick(
            lambda: f"({a} + {b})", lambda: f"({a} - {b})", lambda: f"({a} / NULLIF({b}, 0))", lambda: f"round({a}, 1)",
            lambda: f"floor({a})", lambda: f"sqrt(abs({a}))", lambda: f"CAST({self.of(scope, 'int', 0)} AS DOUBLE)",
            lambda: f"-({a})", lambda: f"abs({a})", lambda: f"CAST({self.leaf(scope, 'decimal')} AS DOUBLE)",
        )  # fmt: skip

    def decimal(self, scope, depth):
        a = self.leaf(scope, "decimal")
        return self.pick(
            lambda: f"CAST({a} AS DECIMAL(18, 3))", lambda: f"round({a}, 1)", lambda: f"abs({a})", lambda: f"-({a})",
            lambda: f"(CAST({a} AS DECIMAL(12, 2)) + 1.5)",
        )  # fmt: skip

    def day(self, scope, depth):
        a = self.of(scope, "day", depth)
        moment = self.leaf(scope, "moment")
        return self.pick(lambda: f"({a} + 1)", lambda: f"({a} - 31)", lambda: f"CAST({moment} AS DATE)")

    def moment(self, scope, depth):
        a = self.of(scope, "moment", depth)
        part = self.chance.choice(("year", "month", "day", "hour", "minute"))
        return self.pick(
            lambda: f"date_trunc('{part}', {a})", lambda: f"({a} + INTERVAL 3 DAY)",
            lambda: f"({a} - INTERVAL 90 MINUTE)", lambda: f"CAST({self.leaf(scope, 'day')} AS TIMESTAMP)",
        )  # fmt: skip

    def instant(self, scope, depth):
        a = self.of(scope, "instant", depth)
        return self.pick(lambda: f"date_trunc('month', {a})", lambda: f"({a} + INTERVAL 3 HOUR)")

    def clock(self, scope, depth):
        return self.pick(lambda: f"CAST({self.leaf(scope, 'moment')} AS TIME)", lambda: self.leaf(scope, "clock"))

    def json(self, scope, depth):
        return f"({self.of(scope, 'json', depth)} -> 'b')"

    def bytes(self, scope, depth):
        return f"({self.of(scope, 'bytes', depth)} || {self.leaf(scope, 'bytes')})"

    def uuid(self, scope, depth):
        return self.leaf(scope, "uuid")

    def vector(self, scope, depth):
        return self.leaf(scope, "vector")

    def aggregate(self, scope):
        """An aggregate that does not depend on the order of the rows, as (SQL, family)."""
        chance = self.chance
        distinct = chance.choice(("", "", "DISTINCT "))
        numbers = f"{self.of(scope, 'int', 1)}"
        ordered, family = self.any(scope, 1, ORDERED)
        anything, _ = self.any(scope, 1)
        text, floats = self.of(scope, "text", 1), self.of(scope, "float", 1)
        sql, result = chance.choice([
            ("count(*)", "int"), (f"count({anything})", "int"), (f"count(DISTINCT {anything})", "int"),
            (f"sum({distinct}{numbers})", "int"), (f"avg({distinct}({numbers}) % 1000)", "float"),
            (f"sum({distinct}{floats})", "float"), (f"avg({floats})", "float"),
            (f"min({ordered})", family), (f"max({ordered})", family),
            (f"sum({self.leaf(scope, 'decimal')})", "decimal"),
            (f"bool_and({self.bool(scope, 1)})", "bool"), (f"bool_or({self.bool(scope, 1)})", "bool"),
            (f"string_agg({text}, ',' ORDER BY {text})", "text"), (f"median(({numbers}) % 1000)", "float"),
            (f"stddev_samp(({numbers}) % 1000)", "float"), (f"count_if({self.bool(scope, 1)})", "int"),
            (f"bit_xor({numbers})", "int"), (f"list({numbers} ORDER BY {numbers})", "list"),
        ])  # fmt: skip
        if chance.random() < 0.25:
            sql += f" FILTER (WHERE {self.bool(scope, 1)})"
        return sql, result
