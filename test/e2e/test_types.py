"""Every type has one JSON form: in an HTTP answer, in a snapshot, and in a change; hot, flushed, and after a restart."""

from kalam_testlib import Server
from kalam_testlib.ws_client import change_row

TABLE = """id INT PRIMARY KEY, c_boolean BOOLEAN, c_smallint SMALLINT, c_int INT, c_bigint BIGINT, c_float FLOAT,
  c_double DOUBLE, c_text TEXT, c_timestamp TIMESTAMP, c_datetime DATETIME, c_date DATE, c_time TIME, c_json JSON,
  c_bytes BYTES, c_embedding EMBEDDING(3), c_uuid UUID, c_decimal DECIMAL(38,10), c_file FILE"""

# What a client sends as parameters, and what it gets everywhere.
ROWS = {
    1: (
        [
            *(True, -32768, -2147483648, -9223372036854775808, 1.5, 0.1, 'Grüße 🚀 \0 "\\', "2024-02-29T23:59:59.999999Z"),
            *("2024-03-01T01:59:59+02:00", "2024-02-29", "23:59:59.999999", {"a": [1, None, "x"]}, [0, 222, 255]),
            *([0.5, -1, 2.25], "F47AC10B58CC4372A5670E02B2C3D479", "-9999999999999999999999999999.9999999999"),
            '{"id":"12"}',
        ],
        [
            *(True, -32768, -2147483648, "-9223372036854775808", 1.5, 0.1, 'Grüße 🚀 \0 "\\', 1709251199999999),
            *(1709251199000000, 19782, 86399999999, '{"a":[1,null,"x"]}', [0, 222, 255], [0.5, -1.0, 2.25]),
            *("f47ac10b-58cc-4372-a567-0e02b2c3d479", "-9999999999999999999999999999.9999999999", '{"id":"12"}'),
        ],
    ),
    2: ([None] * 17, [None] * 17),
    3: (
        [
            *(False, 32767, 2147483647, 9223372036854775807, "nan", "-inf", "", "0001-01-01", "9999-12-31 23:59:59.999999"),
            *("0001-01-01", "00:00", "null", [], [1e-45, 3.4028235e38, -0.0], [255] * 16, 0.5, "{}"),
        ],
        [
            *(False, 32767, 2147483647, "9223372036854775807", None, None, "", -62135596800000000, 253402300799999999),
            *(-719162, 0, "null", [], [1e-45, 3.4028235e38, -0.0], "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            *("0.5000000000", "{}"),
        ],
    ),
}


def cells(row):
    """A row of a live query without what is not the table's own."""
    return [value for name, value in row.items() if name not in ("id", "_seq", "_deleted")]


def snapshot(server, root):
    with server.websocket(root) as ws:
        return {row["id"]: cells(row) for row in ws.subscribe("all", "SELECT * FROM app.t").wait_ready()}


def test_every_type_looks_the_same_everywhere():
    columns = ", ".join(column.split()[0] for column in TABLE.replace("\n", " ").split(", "))
    marks = ", ".join(f"${number}" for number in range(1, 19))
    with Server() as server:
        root = server.root()
        root.run(f"CREATE NAMESPACE app; CREATE TABLE app.t ({TABLE})")
        expected = {key: answer for key, (_, answer) in ROWS.items()}

        def check(state):
            rows = {row[0]: row[1:] for row in root.rows(f"SELECT {columns} FROM app.t")}
            assert rows == expected, state
            for key, answer in expected.items():
                assert root.rows(f"SELECT {columns} FROM app.t WHERE id = {key}") == [[key, *answer]], state
            assert snapshot(server, root) == expected, state

        with server.websocket(root) as ws:
            live = ws.subscribe("changes", "SELECT * FROM app.t")
            live.wait_ready()
            for key, (parameters, _) in ROWS.items():
                root.run(f"INSERT INTO app.t VALUES ({marks})", [key, *parameters])
            inserted = [change_row(change) for change in live.wait_changes(len(ROWS))]
            assert {row["id"]: cells(row) for row in inserted} == expected

        check("hot")
        root.flush("app.t")
        check("flushed")
        server.restart()
        root = server.root()
        check("restarted")
        # A change of a flushed row sends all of its values.
        with server.websocket(root) as ws:
            live = ws.subscribe("changes", "SELECT * FROM app.t")
            live.wait_ready()
            root.run("UPDATE app.t SET c_smallint = 5 WHERE id = 1")
            change = live.wait_changes(1)[0]
        changed = [*expected[1]]
        changed[1] = 5
        assert cells(change_row(change)) == changed and change["old_values"][0]["c_smallint"] == -32768
        root.run("DELETE FROM app.t WHERE id = 2")
        expected[1] = changed
        del expected[2]
        check("changed")
