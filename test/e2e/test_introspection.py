"""SHOW STATS and EXPLAIN: true numbers, of the rows that the caller may see."""

STATS = [
    "table_name",
    "namespace",
    "schema_version",
    "logical_rows",
    "flushed_segments",
    "active_streams",
    "memory_bytes",
    "hot_rows",
    "cold_rows",
    "storage_bytes",
    "last_flushed_at",
]


def stats(client, table):
    result = client.result(f"SHOW STATS FOR TABLE {table}")
    assert [field["name"] for field in result["schema"]] == STATS
    (row,) = result["rows"]
    return {name: int(cell) if isinstance(cell, str) and cell.isdigit() else cell for name, cell in zip(STATS, row)}


def test_show_stats(server, root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t SELECT i, 'v' || i FROM GENERATE_SERIES(1, 100) AS s(i)")
    before = stats(root, f"{ns}.t")
    assert (before["hot_rows"], before["cold_rows"], before["logical_rows"]) == (100, 0, 100)
    assert before["memory_bytes"] > 100 and before["storage_bytes"] == 0 and before["last_flushed_at"] is None
    root.flush(f"{ns}.t")
    root.run(f"DELETE FROM {ns}.t WHERE id <= 10; UPDATE {ns}.t SET v = 'x' WHERE id > 95")
    after = stats(root, f"{ns}.t")
    assert (after["hot_rows"], after["cold_rows"], after["logical_rows"]) == (5, 85, 90)
    files = list((server.data_path / "storage" / ns / "t").glob("*.parquet"))
    assert after["flushed_segments"] == len(files) == 1
    assert after["storage_bytes"] == files[0].stat().st_size
    assert after["last_flushed_at"] > 0


def test_show_stats_counts_own_rows(root, alice, bob, ns):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY)")
    alice.run(f"INSERT INTO {ns}.t VALUES (1), (2)")
    root.flush(f"{ns}.t")
    alice.run(f"INSERT INTO {ns}.t VALUES (3)")
    bob.run(f"INSERT INTO {ns}.t VALUES (1)")
    assert stats(alice, f"{ns}.t")["logical_rows"] == 3
    assert stats(bob, f"{ns}.t")["logical_rows"] == 1
    assert stats(bob, f"{ns}.t")["storage_bytes"] == 0
    assert stats(root, f"{ns}.t")["logical_rows"] == 4


def explain(client, statement, params=None):
    """The lane and the plan of a statement."""
    rows = dict(client.result(statement, params)["rows"])
    lane = rows.pop("lane")
    (plan,) = rows.values()
    return lane, plan


def test_explain_names_the_lane(root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT); INSERT INTO {ns}.t VALUES (1, 'a')")
    root.run(f"CREATE VIEW {ns}.w AS SELECT * FROM {ns}.t")
    for statement, lane in {
        f"SELECT v FROM {ns}.t WHERE id = 1": "fast lane: read by key",
        f"SELECT v FROM {ns}.t WHERE v = 'a'": "engine",
        f"SELECT v FROM {ns}.w WHERE id = 1": "engine",
        f"UPDATE {ns}.t SET v = 'b' WHERE id = 1": "fast lane: written by key",
        f"UPDATE {ns}.t SET v = 'b' WHERE v = 'a'": "engine",
        f"DELETE FROM {ns}.t WHERE id = 1": "fast lane: written by key",
        f"INSERT INTO {ns}.t SELECT 2, 'b'": "engine",
        f"INSERT INTO {ns}.t VALUES (2, 'b')": "fast lane: rows are written without a plan",
    }.items():
        assert explain(root, f"EXPLAIN {statement}")[0] == lane, statement
        explain(root, f"EXPLAIN ANALYZE {statement}")
    assert root.result(f"SELECT id, v FROM {ns}.t")["rows"] == [[1, "a"]], "EXPLAIN changes nothing"


def test_filters_on_every_type_leave_segments_out(root, ns):
    table = f"{ns}.t"
    root.run(
        f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, ts TIMESTAMP, day DATE, x DECIMAL(10, 2), b BOOLEAN, u UUID,"
        " f DOUBLE, z DATETIME, n SMALLINT, y BYTES, g FLOAT, c TIME, big BIGINT, v TEXT)"
    )
    for k in (1, 2, 3):
        root.run(
            f"INSERT INTO {table} VALUES ({k}, '2024-0{k}-01 00:00:00', '2024-0{k}-01', {k}.5, {k == 2},"
            f" '0000000{k}-0000-0000-0000-000000000000', {k}.25, '2024-0{k}-01 00:00:00', {k}, X'0{k}', {k}.5,"
            f" '0{k}:00:00', {k} * 10000000000, '{str(k) * 100}')"
        )
        root.flush(table)
    for where in (
        "ts = '2024-02-01 00:00:00'",
        "ts BETWEEN '2024-01-15' AND '2024-02-05'",
        "day = '2024-02-01'",
        "x = 2.5",
        "b = true",
        "u = '00000002-0000-0000-0000-000000000000'",
        "f > 2 AND f < 3",
        "z = '2024-02-01 00:00:00'",
        "n = 2 AND id > 0",
        "y = X'02'",
        "g = 2.5",
        "c = '02:00:00'",
        "big IN (20000000000, 20000000001)",
        f"v = '{'2' * 100}'",
    ):
        assert "1 of 3" in explain(root, f"EXPLAIN SELECT * FROM {table} WHERE {where}")[1], where
        assert root.rows(f"SELECT id FROM {table} WHERE {where}") == [[2]], where


def test_explain_counts_the_segments_that_are_read(server, root, alice, bob, ns):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    for first in (0, 100, 200):
        alice.run(f"INSERT INTO {ns}.t SELECT i, 'v{first}' FROM GENERATE_SERIES({first}, {first + 9}) AS s(i)")
        root.flush(f"{ns}.t")
    alice.run(f"INSERT INTO {ns}.t VALUES (1000, 'hot')")
    kept_by = {
        "": 3,
        "WHERE id > 150": 1,
        "WHERE id BETWEEN 5 AND 105": 2,
        "WHERE id > 5000": 0,
        "WHERE v = 'v100'": 1,
        "WHERE v >= 'v1' AND v < 'v3'": 2,
        "WHERE v IS NULL": 0,
    }
    for analyze in ("", "ANALYZE "):
        for where, kept in kept_by.items():
            _, plan = explain(alice, f"EXPLAIN {analyze}SELECT * FROM {ns}.t {where}")
            if kept == 0 and "Segments" not in plan:
                continue  # the planner has found out that there is nothing to read
            assert f"{kept} of 3" in plan and "Hot rows: 1 " in plan, where + plan
            assert "parquet" not in plan.lower().replace("parquet_scan", "") and str(server.data_path) not in plan
        assert "0 of 0" in explain(bob, f"EXPLAIN {analyze}SELECT * FROM {ns}.t")[1]
