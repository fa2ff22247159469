"""Reads and writes Parquet files as any other program would: by a DuckDB that knows nothing of KalamDB, through its C
API."""

import ctypes
import pathlib

LIBRARY = pathlib.Path(__file__).resolve().parents[3] / ".deps/duckdb/lib/libduckdb.so"


class _Result(ctypes.Structure):
    _fields_ = [
        ("column_count", ctypes.c_uint64),
        ("row_count", ctypes.c_uint64),
        ("rows_changed", ctypes.c_uint64),
        ("columns", ctypes.c_void_p),
        ("error_message", ctypes.c_char_p),
        ("internal_data", ctypes.c_void_p),
    ]


def read_parquet(path, select):
    """Runs `select`, in which {} stands for the file at `path`; the rows, of texts and None."""
    return run(select.format(f"read_parquet('{path}')"))


def write_parquet(path, select):
    """Writes what `select` gives to a file at `path`, whose directory it makes."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    run(f"COPY ({select}) TO '{path}' (FORMAT parquet)")


def run(sql):
    duckdb = ctypes.CDLL(str(LIBRARY))
    duckdb.duckdb_result_error.restype = ctypes.c_char_p
    duckdb.duckdb_value_varchar.restype = ctypes.c_void_p
    for name in ("duckdb_column_count", "duckdb_row_count"):
        getattr(duckdb, name).restype = ctypes.c_uint64
    database, connection, result = ctypes.c_void_p(), ctypes.c_void_p(), _Result()
    assert duckdb.duckdb_open(None, ctypes.byref(database)) == 0
    assert duckdb.duckdb_connect(database, ctypes.byref(connection)) == 0
    if duckdb.duckdb_query(connection, sql.encode(), ctypes.byref(result)) != 0:
        raise AssertionError(duckdb.duckdb_result_error(ctypes.byref(result)).decode())

    def cell(column, row):
        text = duckdb.duckdb_value_varchar(ctypes.byref(result), ctypes.c_uint64(column), ctypes.c_uint64(row))
        value = None if text is None else ctypes.string_at(text).decode()
        duckdb.duckdb_free(ctypes.c_void_p(text))
        return value

    columns = range(duckdb.duckdb_column_count(ctypes.byref(result)))
    rows = [[cell(c, r) for c in columns] for r in range(duckdb.duckdb_row_count(ctypes.byref(result)))]
    duckdb.duckdb_destroy_result(ctypes.byref(result))
    duckdb.duckdb_disconnect(ctypes.byref(connection))
    duckdb.duckdb_close(ctypes.byref(database))
    return rows
