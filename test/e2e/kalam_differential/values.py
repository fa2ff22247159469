"""Column types with the values that random rows take: few enough that they meet, and the extremes."""

import random


class Type:
    """`name` in CREATE TABLE on KalamDB, `plain` on DuckDB, `family` what expressions treat alike; `cast` makes a literal of
    one of the `values`; `key`: it may be in a primary key."""

    def __init__(self, name, family, values, cast, plain=None, key=True):
        self.name = name
        self.plain = plain or name
        self.family = family
        self.values = values
        self.cast = cast
        self.key = key

    def literal(self, value):
        """The value in an expression, for both sides."""
        return "NULL" if value is None else self.cast.format(value)

    def inserted(self, value, kalam):
        """The value as INSERT takes it without a cast, where there is such a spelling for both sides."""
        if value is None:
            return "NULL"
        if self.family == "bytes":
            return f"X'{value}'" if kalam else self.literal(value)
        return str(value) if self.family in ("int", "float", "decimal", "bool") else f"'{value}'"


def decimals(scale):
    return [f"{number:.{scale}f}" for number in (0, 1, -1, 2.5, 7.25, -3.75, 19.99, 100, 12345.5)]


TEXTS = ["", "a", "b", "ab", "Ab", "abc", "B", "z", "10", "9", "a%b", "a_b", "o''clock", "Ünï", "修正", "🚀", " x ", "-1"]
UUIDS = [f"{n:08x}-0000-4000-8000-{n * 7919:012x}" for n in (0, 1, 2, 3, 255, 4096, 65535, 0xFFFFFFFF)]
MOMENTS = [
    "1970-01-01 00:00:00",
    "2024-02-29 12:00:00",
    "2024-02-29 12:00:00.000001",
    "2024-03-31 01:30:00",
    "1969-12-31 23:59:59.999999",
    "2000-01-01 00:00:00",
    "0001-01-01 00:00:00",
    "9999-12-31 23:59:59.999999",
    "2023-07-14 08:15:30.5",
]
DAYS = ["1970-01-01", "2024-02-29", "2024-03-01", "1969-12-31", "2000-01-01", "0001-01-01", "9999-12-31", "2023-07-14"]
DOCUMENTS = ['{"a": 1, "b": [1, 2]}', '{"a": null}', "[]", '"x"', '{"a": "ü"}']
VECTORS = ["[0,0,1]", "[0.5,-1,2]", "[1,1,1]"]
CLOCKS = ["00:00:00", "23:59:59.999999", "12:00:00", "08:15:30.5", "12:00:00.000001"]

TYPES = [
    Type("BOOLEAN", "bool", ["TRUE", "FALSE"], "{}", key=False),
    Type("SMALLINT", "int", [*range(-3, 12), 32767, -32768], "CAST({} AS SMALLINT)"),
    Type("INT", "int", [*range(-3, 12), 100, 2147483647, -2147483648], "CAST({} AS INTEGER)"),
    Type("BIGINT", "int", [*range(-3, 12), 9223372036854775807, -9223372036854775808], "CAST('{}' AS BIGINT)"),
    Type("FLOAT", "float", [0, 1, -1, 0.5, 2.25, -7.75, 1000], "CAST({} AS FLOAT)", key=False),
    Type("DOUBLE", "float", [0, 1, -1, 0.5, 2.25, -7.75, 1000, 123456.125], "CAST({} AS DOUBLE)", key=False),
    Type("DECIMAL(10, 2)", "decimal", [*decimals(2), "99999999.99", "-99999999.99"], "CAST('{}' AS DECIMAL(10, 2))"),
    Type("DECIMAL(38, 10)", "decimal", decimals(10), "CAST('{}' AS DECIMAL(38, 10))"),
    Type("TEXT", "text", TEXTS, "'{}'", plain="VARCHAR"),
    Type("JSON", "json", DOCUMENTS, "CAST('{}' AS JSON)", key=False),
    Type("BYTES", "bytes", ["", "00", "DEADBEEF", "61", "FF00FF"], "from_hex('{}')", plain="BLOB"),
    Type("UUID", "uuid", UUIDS, "CAST('{}' AS UUID)"),
    Type("TIMESTAMP", "moment", MOMENTS, "TIMESTAMP '{}'"),
    Type("DATETIME", "instant", MOMENTS, "CAST('{}' AS TIMESTAMPTZ)", plain="TIMESTAMPTZ"),
    Type("DATE", "day", DAYS, "DATE '{}'"),
    Type("TIME", "clock", CLOCKS, "TIME '{}'"),
    Type("EMBEDDING(3)", "vector", VECTORS, "CAST('{}' AS FLOAT[3])", plain="FLOAT[3]", key=False),
]
KEY_TYPES = [t for t in TYPES if t.key]


class Column:
    def __init__(self, name, kind, is_key=False, nullable=True):
        self.name = name
        self.type = kind
        self.is_key = is_key
        self.nullable = nullable and not is_key

    def value(self, chance):
        if self.nullable and chance.random() < 0.2:
            return None
        return chance.choice(self.type.values)

    def definition(self, kalam):
        return f"{self.name} {self.type.name if kalam else self.type.plain}" + ("" if self.nullable else " NOT NULL")


class Table:
    """A table on both sides: of each user of their own, or shared."""

    def __init__(self, name, kind, columns):
        self.name = name
        self.kind = kind
        self.columns = columns
        self.keys = [column for column in columns if column.is_key]

    def create(self, kalam):
        columns = [column.definition(kalam) for column in self.columns]
        columns.append(f"PRIMARY KEY ({', '.join(key.name for key in self.keys)})")
        kind = f"{self.kind} " if kalam else ""
        return f"CREATE {kind}TABLE {self.name} ({', '.join(columns)})"

    def names(self):
        return ", ".join(column.name for column in self.columns)

    def row(self, chance):
        return [column.value(chance) for column in self.columns]

    def key_of(self, row):
        return tuple(value for column, value in zip(self.columns, row) if column.is_key)


def random_table(chance: random.Random, name, kind, must_have):
    """A table of one or two key columns and some others, among them one of each type in `must_have`."""
    kinds = must_have + [chance.choice(TYPES) for _ in range(chance.randint(1, 3))]
    keys = [chance.choice(KEY_TYPES) for _ in range(chance.choice((1, 1, 2)))]
    if len(keys) == 1 and len(keys[0].values) < 10:
        keys.append(TYPES[2])
    columns = [Column(f"k{i}", key, is_key=True) for i, key in enumerate(keys)]
    columns += [Column(f"c{i}", kind, nullable=chance.random() < 0.8) for i, kind in enumerate(kinds)]
    return Table(name, kind, columns)
