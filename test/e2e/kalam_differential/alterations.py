"""Random ALTER TABLEs, which both sides can do to any rows."""

from .values import TYPES, Column

BY_NAME = {kind.name: kind for kind in TYPES}
WIDER = {"SMALLINT": ("INT", "BIGINT", "TEXT"), "INT": ("BIGINT", "TEXT"), "BIGINT": ("TEXT",), "FLOAT": ("DOUBLE",)}
WIDER.update({"UUID": ("TEXT",), "DATE": ("TEXT",)})


class Alterations:
    def __init__(self, chance):
        self.chance = chance
        self.names = 0

    def alter(self, table):
        """Changes the columns of `table`; the statement, by side: (DuckDB's, KalamDB's)."""
        return self.chance.choice((self.add, self.add, self.drop, self.rename, self.widen, self.drop_not_null))(table)

    def new_name(self):
        self.names += 1
        return f"n{self.names}"

    def some(self, table, kinds=None):
        columns = [c for c in table.columns if not c.is_key and (kinds is None or c.type.name in kinds)]
        return self.chance.choice(columns) if columns else None

    @staticmethod
    def both(table, operation):
        return f"ALTER TABLE {table.name} {operation}", f"ALTER TABLE {table.name} {operation}"

    def add(self, table):
        column = Column(self.new_name(), self.chance.choice(TYPES))
        table.columns.append(column)
        default = ""
        if column.type.family not in ("bytes", "vector", "json") and self.chance.random() < 0.6:
            default = f" DEFAULT {column.type.inserted(self.chance.choice(column.type.values), kalam=True)}"
        return tuple(
            f"ALTER TABLE {table.name} ADD COLUMN {column.definition(kalam)}{default}" for kalam in (False, True)
        )

    def drop(self, table):
        if sum(not column.is_key for column in table.columns) < 3:
            return self.add(table)
        column = self.some(table)
        table.columns.remove(column)
        return self.both(table, f"DROP COLUMN {column.name}")

    def rename(self, table):
        column = self.some(table)
        old, column.name = column.name, self.new_name()
        return self.both(table, f"RENAME COLUMN {old} TO {column.name}")

    def widen(self, table):
        column = self.some(table, WIDER)
        if column is None:
            return self.add(table)
        column.type = BY_NAME[self.chance.choice(WIDER[column.type.name])]
        return tuple(
            f"ALTER TABLE {table.name} ALTER COLUMN {column.name} TYPE {kind}"
            for kind in (column.type.plain, column.type.name)
        )

    def drop_not_null(self, table):
        column = self.some(table)
        column.nullable = True
        return self.both(table, f"ALTER COLUMN {column.name} DROP NOT NULL")
