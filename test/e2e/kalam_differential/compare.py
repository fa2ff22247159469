"""Both sides' answers in one form: KalamDB's wire encodings and DuckDB's texts become the same Python values."""

import decimal
import json
import math
import re

# DuckDB's type, as KalamDB names it on the wire.
WIRE_TYPES = {
    "BOOLEAN": "Boolean",
    "TINYINT": "SmallInt",
    "UTINYINT": "SmallInt",
    "SMALLINT": "SmallInt",
    "USMALLINT": "Int",
    "INTEGER": "Int",
    "UINTEGER": "BigInt",
    "BIGINT": "BigInt",
    "UBIGINT": "BigInt",
    "HUGEINT": "BigInt",
    "FLOAT": "Float",
    "DOUBLE": "Double",
    "VARCHAR": "Text",
    "JSON": "Json",
    "BLOB": "Bytes",
    "UUID": "Uuid",
    "DATE": "Date",
    "TIME": "Time",
    "TIMESTAMP": "Timestamp",
    "TIMESTAMP WITH TIME ZONE": "DateTime",
}
INTEGERS = ("SmallInt", "Int", "BigInt")
FLOATS = ("Float", "Double")
# A FLOAT has seven digits; sums of DOUBLEs depend on the order of the rows in the last ones.
RELATIVE = {"Float": 1e-6, "Double": 1e-9}


def wire_type(duckdb_type):
    found = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", duckdb_type)
    if found:
        return {"Decimal": {"precision": int(found[1]), "scale": int(found[2])}}
    found = re.fullmatch(r"FLOAT\[(\d+)\]", duckdb_type)
    if found:
        return {"Embedding": int(found[1])}
    return WIRE_TYPES.get(duckdb_type, "Text")


def same_type(plain, kalam):
    """Whether KalamDB answered the type that it must; 128-bit integers are BigInt only where all of them fit."""
    if plain == "HUGEINT" and kalam == {"Decimal": {"precision": 38, "scale": 0}}:
        return True
    return wire_type(plain) == kalam


def days_of(year, month, day):
    """Days since 1970-01-01 in the proleptic Gregorian calendar, for every year."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


def days(text):
    before_christ = text.endswith(" (BC)")
    year, month, day = map(int, re.match(r"(\d+)-(\d+)-(\d+)", text).groups())
    return days_of(1 - year if before_christ else year, month, day)


def microseconds(text):
    hours, minutes, seconds, fraction = re.match(r"(\d+):(\d+):(\d+)(?:\.(\d+))?", text).groups()
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * 1_000_000 + int((fraction or "").ljust(6, "0"))


def from_plain(cell, plain_type, kind):
    """A cell of DuckDB's answer, `kind` being the wire type of its column."""
    if cell is None:
        return None
    if plain_type.endswith("[]"):  # A list, of numbers here, is answered as JSON.
        return cell.replace(", ", ",").replace("NULL", "null")
    if kind == "Boolean":
        return cell == "true"
    if kind in INTEGERS:
        return int(cell)
    if kind in FLOATS:
        return float(cell) if math.isfinite(float(cell)) else None
    if isinstance(kind, dict):
        return decimal.Decimal(cell) if "Decimal" in kind else [float(item) for item in json.loads(cell)]
    if kind == "Bytes":
        return list(bytes.fromhex(cell))
    if kind == "Date":
        return days(cell)
    if kind == "Time":
        return microseconds(cell)
    if kind in ("Timestamp", "DateTime"):
        date, time = cell.replace(" (BC)", "").split(" ", 1)
        return days(date + (" (BC)" if "(BC)" in cell else "")) * 86_400_000_000 + microseconds(time)
    return cell


def from_wire(cell, kind):
    """A cell of KalamDB's answer; AssertionError where its encoding is not that of the type."""
    if cell is None:
        return None
    if kind == "BigInt":
        assert isinstance(cell, str), f"a BigInt must be a string, not {cell!r}"
        return int(cell)
    if isinstance(kind, dict) and "Decimal" in kind:
        assert isinstance(cell, str), f"a Decimal must be a string, not {cell!r}"
        digits = len(cell.partition(".")[2])
        assert digits == kind["Decimal"]["scale"], f"{cell} has {digits} digits behind the point: {kind}"
        return decimal.Decimal(cell)
    expected = {"Boolean": bool, "Float": (int, float), "Double": (int, float), "Bytes": list, "Text": str}
    expected.update({name: int for name in ("SmallInt", "Int", "Date", "Time", "Timestamp", "DateTime")})
    wanted = expected.get(kind if isinstance(kind, str) else None, object)
    assert isinstance(cell, wanted) and (kind == "Boolean" or not isinstance(cell, bool)), f"{cell!r} is no {kind}"
    return cell


def same_cell(kind, plain, kalam):
    if plain is None or kalam is None:
        return plain is kalam
    if kind in FLOATS:
        return math.isclose(plain, kalam, rel_tol=RELATIVE[kind], abs_tol=1e-12)
    if isinstance(kind, dict) and "Embedding" in kind:
        return len(plain) == len(kalam) and all(math.isclose(p, k, rel_tol=1e-6) for p, k in zip(plain, kalam))
    return plain == kalam


def sort_key(row):
    return [(cell is not None, f"{cell:.5e}" if isinstance(cell, float) else str(cell)) for cell in row]


def same_rows(kinds, plain, kalam, ordered):
    if len(plain) != len(kalam):
        return False
    if not ordered:
        as_floats = [[float(c) if k in FLOATS and c is not None else c for k, c in zip(kinds, row)] for row in kalam]
        plain, kalam = sorted(plain, key=sort_key), sorted(as_floats, key=sort_key)
    return all(all(map(same_cell, kinds, p, k)) for p, k in zip(plain, kalam))
