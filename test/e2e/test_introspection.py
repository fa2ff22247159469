"""SHOW STATS: true numbers, of the rows that the caller may see."""

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
