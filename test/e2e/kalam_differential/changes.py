"""Random INSERTs, UPDATEs and DELETEs of one table."""

from .expressions import Expressions, Scope


class Change:
    """`template` is the statement; {rows} in it stands for the VALUES, whose literals differ between the sides."""

    def __init__(self, template, columns=(), rows=()):
        self.template = template
        self.columns = columns
        self.rows = rows

    def sql(self, kalam):
        rows = [[column.type.inserted(value, kalam) for column, value in zip(self.columns, row)] for row in self.rows]
        return self.template.replace("{rows}", ", ".join(f"({', '.join(row)})" for row in rows))


class Changes:
    def __init__(self, chance, table, tables):
        self.chance = chance
        self.table = table
        self.tables = tables
        self.make = Expressions(chance)
        self.scope = self.scope_of(table, table.name)

    @staticmethod
    def scope_of(table, name):
        return Scope([(f"{name}.{column.name}", column.type.family) for column in table.columns])

    def change(self):
        kinds = [self.insert] * 4 + [self.insert_ignoring] * 2 + [self.update] * 4 + [self.delete] * 2
        kinds += [self.insert_select, self.update_from, self.delete_using, self.upsert, self.upsert]
        return self.chance.choice(kinds)()

    def rows(self, most=6, distinct=False):
        rows = [self.table.row(self.chance) for _ in range(self.chance.randint(1, most))]
        return list({self.table.key_of(row): row for row in rows}.values()) if distinct else rows

    def insert(self):
        """Mostly of new keys, which fails now and then as a whole."""
        return Change(f"INSERT INTO {self.table.name} VALUES {{rows}}", self.table.columns, self.rows(distinct=True))

    def insert_ignoring(self):
        keys = ", ".join(key.name for key in self.table.keys)
        target = self.chance.choice(("", f" ({keys})"))
        return Change(
            f"INSERT INTO {self.table.name} VALUES {{rows}} ON CONFLICT{target} DO NOTHING",
            self.table.columns,
            self.rows(12, distinct=self.chance.random() < 0.7),
        )

    def upsert(self):
        others = [column.name for column in self.table.columns if not column.is_key]
        chosen = self.chance.sample(others, self.chance.randint(1, len(others)))
        keys = ", ".join(key.name for key in self.table.keys)
        sets = ", ".join(f"{name} = EXCLUDED.{name}" for name in chosen)
        return Change(
            f"INSERT INTO {self.table.name} VALUES {{rows}} ON CONFLICT ({keys}) DO UPDATE SET {sets}",
            self.table.columns,
            self.rows(8, distinct=True),
        )

    def insert_select(self):
        """Rows of the table again, under other keys where the first key is a number."""
        items = [column.name for column in self.table.columns]
        if self.table.keys[0].type.family == "int":
            items[0] = f"{items[0]} % 1000 + {self.chance.randint(1, 40)}"
        return Change(
            f"INSERT INTO {self.table.name} SELECT {', '.join(items)} FROM {self.table.name} "
            f"WHERE {self.make.bool(self.scope, 1)} ON CONFLICT DO NOTHING"
        )

    def assignments(self):
        columns = [column for column in self.table.columns if not column.is_key]
        made = []
        for column in self.chance.sample(columns, min(self.chance.randint(1, 2), len(columns))):
            value = column.type.literal(column.value(self.chance))
            if column.type.family in ("int", "text", "bool") and self.chance.random() < 0.5:
                value = self.make.of(self.scope, column.type.family, 2)
            made.append(f"{column.name} = {value}")
        return ", ".join(made)

    def by_key(self):
        row = self.table.row(self.chance)
        pairs = zip(self.table.columns, row)
        return " AND ".join(f"{c.name} = {c.type.inserted(v, False)}" for c, v in pairs if c.is_key)

    def condition(self):
        if self.chance.random() < 0.3:
            return self.by_key()
        return self.make.bool(self.scope, 2)

    def rare(self):
        """What fewer rows meet, so that some are left."""
        return f"{self.make.bool(self.scope, 1)} AND {self.make.bool(self.scope, 1)}"

    def update(self):
        return Change(f"UPDATE {self.table.name} SET {self.assignments()} WHERE {self.condition()}")

    def delete(self):
        return Change(f"DELETE FROM {self.table.name} WHERE {self.rare()}")

    def joined(self):
        """(source, condition) of another table, each of whose rows meets one row of this one at most."""
        keys = ", ".join(key.name for key in self.table.keys)
        by_key = Scope([(key.name, key.type.family) for key in self.table.keys])
        source = f"(SELECT {keys} FROM {self.table.name} GROUP BY {keys} HAVING {self.make.bool(by_key, 1)}) o"
        return source, " AND ".join(f"o.{key.name} = {self.table.name}.{key.name}" for key in self.table.keys)

    def update_from(self):
        source, condition = self.joined()
        return Change(f"UPDATE {self.table.name} SET {self.assignments()} FROM {source} WHERE {condition}")

    def delete_using(self):
        source, condition = self.joined()
        return Change(f"DELETE FROM {self.table.name} USING {source} WHERE {condition} AND {self.rare()}")
