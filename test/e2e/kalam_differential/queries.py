"""Random SELECTs over tables that both sides have."""

from .expressions import FAMILIES, ORDERED, Expressions, Scope


class Query:
    """`ordered`: ORDER BY leaves no two different rows in an order of their choice."""

    def __init__(self, sql, families, ordered=False):
        self.sql = sql
        self.families = families
        self.ordered = ordered


class Queries:
    def __init__(self, chance, tables):
        self.chance = chance
        self.tables = tables
        self.make = Expressions(chance)
        self.aliases = 0

    def query(self):
        """One whole statement."""
        shapes = [self.plain] * 4 + [self.grouped] * 4 + [self.windowed] * 2 + [self.compound] * 2
        shapes += [self.with_ctes, self.distinct_on, self.by_key, self.recursive, self.lateral]
        query = self.chance.choice(shapes)()
        if not query.ordered and self.chance.random() < 0.4 and "list" not in query.families:
            query = self.sorted(query)
        return query

    def alias(self):
        self.aliases += 1
        return f"t{self.aliases}"

    def sorted(self, query):
        """By all of its columns, in some order and direction, and cut."""
        positions = list(range(1, len(query.families) + 1))
        self.chance.shuffle(positions)
        directions = [d + n for d in ("", " ASC", " DESC") for n in ("", "", " NULLS FIRST", " NULLS LAST")]
        terms = [f"{position}{self.chance.choice(directions)}" for position in positions]
        sql = f"{query.sql} ORDER BY {', '.join(terms)}"
        if self.chance.random() < 0.6:
            sql += f" LIMIT {self.chance.choice((0, 1, 3, 10))}"
            if self.chance.random() < 0.5:
                sql += f" OFFSET {self.chance.choice((0, 1, 5))}"
        return Query(sql, query.families, ordered=True)

    def source(self):
        """(SQL, scope) of something in FROM: a table, or a derived one."""
        name = self.alias()
        if self.chance.random() < 0.15:
            inner = self.plain(joins=False)
            columns = [f"x{i}" for i in range(len(inner.families))]
            return f"({inner.sql}) {name} ({', '.join(columns)})", Scope(
                [(f"{name}.{column}", family) for column, family in zip(columns, inner.families)]
            )
        table = self.chance.choice(self.tables)
        scope = Scope(
            [(f"{name}.{column.name}", column.type.family) for column in table.columns],
            [f"{name}.{column.name}" for column in table.keys],
        )
        return f"{table.name} {name}", scope

    def sources(self, joins=True):
        """(SQL, scope) of a FROM clause."""
        sql, scope = self.source()
        joined = self.chance.choice((0, 0, 1, 1, 2)) if joins else 0
        for _ in range(joined):
            right, right_scope = self.source()
            both = Scope(scope.columns + right_scope.columns)
            if scope.unique and right_scope.unique:
                both.unique = scope.unique + right_scope.unique
            kind = self.chance.choice(("JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"))
            condition = self.join_condition(scope, right_scope, equal_only=kind in ("FULL JOIN", "RIGHT JOIN"))
            sql = f"{sql} {kind} {right} ON {condition}"
            scope = scope if kind in ("SEMI JOIN", "ANTI JOIN") else both
        return sql, scope

    def join_condition(self, left, right, equal_only):
        shared = [family for family in ORDERED if left.of(family) and right.of(family) and family != "bool"]
        if not shared:
            return "TRUE" if equal_only else "FALSE"
        family = self.chance.choice(shared)
        condition = f"{self.chance.choice(left.of(family))} = {self.chance.choice(right.of(family))}"
        if not equal_only and self.chance.random() < 0.3:
            condition += f" AND {self.make.bool(Scope(left.columns + right.columns), 1)}"
        return condition

    def where(self, scope):
        if self.chance.random() < 0.3:
            return ""
        condition = self.make.bool(scope, 2)
        if self.chance.random() < 0.3:
            condition = f"({condition}) {self.chance.choice(('AND', 'OR'))} {self.subquery_condition(scope)}"
        return f" WHERE {condition}"

    def subquery_condition(self, scope):
        inner_sql, inner = self.source()
        both = Scope(scope.columns + inner.columns)
        family = self.chance.choice([f for f in ORDERED if inner.of(f) and scope.of(f)] or ["int"])
        outer_value, value = self.make.leaf(scope, family), self.make.of(inner, family, 1)
        correlated = self.join_condition(scope, inner, equal_only=False)
        inner_where = self.make.bool(inner, 1)
        return self.chance.choice((
            f"{outer_value} IN (SELECT {value} FROM {inner_sql} WHERE {inner_where})",
            f"{outer_value} NOT IN (SELECT {value} FROM {inner_sql} WHERE {value} IS NOT NULL AND {inner_where})",
            f"EXISTS (SELECT 1 FROM {inner_sql} WHERE {correlated})",
            f"NOT EXISTS (SELECT 1 FROM {inner_sql} WHERE {correlated} AND {self.make.bool(both, 1)})",
            f"{outer_value} >= (SELECT min({value}) FROM {inner_sql} WHERE {correlated})",
            f"{outer_value} = ANY (SELECT {value} FROM {inner_sql})",
        ))  # fmt: skip

    def items(self, scope, count, families=None):
        made = [self.make.any(scope, 2, [families[i]] if families else None) for i in range(count)]
        return [sql for sql, _ in made], [family for _, family in made]

    def plain(self, joins=True, families=None):
        source, scope = self.sources(joins)
        count = len(families) if families else self.chance.randint(1, 4)
        items, kinds = self.items(scope, count, families)
        if joins and not families and self.chance.random() < 0.1:
            inner_sql, inner = self.source()
            items.append(f"(SELECT count(*) FROM {inner_sql} WHERE {self.join_condition(scope, inner, False)})")
            kinds.append("int")
        distinct = self.chance.choice(("", "", "", "DISTINCT "))
        return Query(f"SELECT {distinct}{', '.join(items)} FROM {source}{self.where(scope)}", kinds)

    def grouped(self):
        source, scope = self.sources()
        groups, kinds = self.items(scope, self.chance.randint(0, 2), None)
        aggregates = [self.make.aggregate(scope) for _ in range(self.chance.randint(1, 3))]
        items = groups + [sql for sql, _ in aggregates]
        sql = f"SELECT {', '.join(items)} FROM {source}{self.where(scope)}"
        if groups:
            listed = ", ".join(str(i + 1) for i in range(len(groups)))
            named = ", ".join(groups)
            sql += self.chance.choice(
                (f" GROUP BY {listed}", f" GROUP BY {named}", " GROUP BY ALL", f" GROUP BY ROLLUP ({named})",
                 f" GROUP BY CUBE ({named})", f" GROUP BY GROUPING SETS (({named}), ({groups[0]}), ())")
            )  # fmt: skip
        if self.chance.random() < 0.25:
            sql += f" HAVING {self.chance.choice(('count(*) > 1', 'min(' + self.make.leaf(scope, 'int') + ') < 5'))}"
        return Query(sql, kinds + [family for _, family in aggregates])

    def windowed(self):
        source, scope = self.sources(joins=self.chance.random() < 0.3)
        items, kinds = self.items(scope, 2)
        partition, _ = self.make.any(scope, 1, ORDERED)
        order, _ = self.make.any(scope, 1, ORDERED)
        direction = self.chance.choice(("", " DESC", " DESC NULLS FIRST"))
        over = f"PARTITION BY {partition} ORDER BY {order}{direction}"
        numbers = self.make.of(scope, "int", 1)
        functions = [
            ("rank()", "int", over), ("dense_rank()", "int", over), ("percent_rank()", "float", over),
            ("cume_dist()", "float", over), ("count(*)", "int", over), (f"sum({numbers})", "int", over),
            (f"max({numbers})", "int", f"PARTITION BY {partition}"),
        ]  # fmt: skip
        if scope.unique:
            total = f"PARTITION BY {partition} ORDER BY {', '.join([order + direction] + scope.unique)}"
            value, family = self.make.any(scope, 1, ORDERED)
            functions += [
                ("row_number()", "int", total), (f"lag({value})", family, total), (f"lead({value}, 2)", family, total),
                (f"first_value({value})", family, total), ("ntile(3)", "int", total),
                (f"sum({numbers})", "int", total + " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING"),
                (f"nth_value({value}, 2)", family, total + " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"),
            ]  # fmt: skip
        function, family, window = self.chance.choice(functions)
        call = f"{function} OVER ({window})"
        sql = f"SELECT {', '.join([*items, call])} FROM {source}{self.where(scope)}"
        if self.chance.random() < 0.2:
            sql += f" QUALIFY rank() OVER ({over}) <= 2"
        return Query(sql, [*kinds, family])

    def compound(self):
        families = [self.chance.choice(FAMILIES) for _ in range(self.chance.randint(1, 3))]
        families = [family if family not in ("json", "vector") else "int" for family in families]
        operator = self.chance.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"))
        left, right = (self.plain(self.chance.random() < 0.3, families) for _ in range(2))
        return Query(f"{left.sql} {operator} {right.sql}", families)

    def with_ctes(self):
        inner = self.plain()
        name = self.alias()
        columns = [f"x{i}" for i in range(len(inner.families))]
        scope = Scope([(f"{name}.{column}", family) for column, family in zip(columns, inner.families)])
        other, other_scope = self.source()
        items, kinds = self.items(Scope(scope.columns + other_scope.columns), 2)
        sql = f"WITH {name} ({', '.join(columns)}) AS ({inner.sql}) SELECT {', '.join(items)} FROM {name}"
        kind = self.chance.choice(("JOIN", "LEFT JOIN"))
        sql += f" {kind} {other} ON {self.join_condition(scope, other_scope, False)}"
        return Query(sql, kinds)

    def distinct_on(self):
        source, scope = self.sources()
        if not scope.unique:
            return self.plain()
        value, family = self.make.any(scope, 1, ORDERED)
        items, kinds = self.items(scope, 2)
        order = ", ".join([value, *scope.unique])
        sql = f"SELECT DISTINCT ON ({value}) {', '.join([value, *items])} FROM {source}{self.where(scope)}"
        sql += f" ORDER BY {order}"
        return Query(sql, [family, *kinds], ordered=True)

    def by_key(self):
        """A read by the full primary key, which takes the fast lane where the literals are plain ones."""
        table = self.chance.choice(self.tables)
        conditions = []
        for key in table.keys:
            value = self.chance.choice(key.type.values)
            quoted = key.type.family in ("text", "uuid", "moment", "instant", "day", "clock", "decimal")
            literal = f"'{value}'" if quoted else key.type.literal(value)
            conditions.append(f"{key.name} = {literal}")
        columns = self.chance.sample(table.columns, min(3, len(table.columns)))
        names = ", ".join(column.name for column in columns)
        return Query(
            f"SELECT {names} FROM {table.name} WHERE {' AND '.join(conditions)}", [c.type.family for c in columns]
        )

    def recursive(self):
        source, scope = self.source()
        steps = self.chance.randint(2, 6)
        value, family = self.make.any(scope, 1, ORDERED)
        sql = (
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {steps}) "
            f"SELECT i, {value}, count(*) FROM n, {source} WHERE i % 2 = 1 GROUP BY ALL"
        )
        return Query(sql, ["int", family, "int"])

    def lateral(self):
        source, scope = self.source()
        inner_sql, inner = self.source()
        value, family = self.make.any(inner, 1, ORDERED)
        item, kind = self.make.any(scope, 1)
        condition = self.join_condition(scope, inner, equal_only=False)
        inner_query = f"SELECT max({value}) AS v FROM {inner_sql} WHERE {condition}"
        sql = f"SELECT {item}, l.v FROM {source}, LATERAL ({inner_query}) l"
        return Query(sql, [kind, family])
