"""ALTER TABLE while others read, write, flush and subscribe; TRUNCATE and RENAME as subscribers see them; messages."""

import json
import threading

import pytest
from kalam_testlib import Server
from kalam_testlib.ws_client import change_row


@pytest.fixture
def shared(root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT, n INT)")
    return f"{ns}.t"


def message(root, sql):
    return root.result(sql)["message"]


def test_messages(root, shared):
    said = f"Table {shared} altered successfully: "
    assert message(root, f"ALTER TABLE {shared} ADD COLUMN c TEXT") == said + "ADD COLUMN c TEXT (version 2)"
    assert (
        message(root, f"ALTER TABLE {shared} ADD COLUMN IF NOT EXISTS c TEXT")
        == f"Table {shared} unchanged: ADD COLUMN c TEXT (version 2 - no changes needed)"
    )
    for number, (sql, description) in enumerate(
        [
            ("MODIFY COLUMN n bigint", "MODIFY COLUMN n BIGINT"),
            ("RENAME COLUMN c TO d", "RENAME COLUMN c TO d"),
            ("ALTER COLUMN v SET NOT NULL", "ALTER COLUMN v SET NOT NULL"),
            ("ALTER COLUMN v DROP NOT NULL", "ALTER COLUMN v DROP NOT NULL"),
            ("ALTER COLUMN v SET DEFAULT 'x'", "ALTER COLUMN v SET DEFAULT 'x'"),
            ("ALTER COLUMN v DROP DEFAULT", "ALTER COLUMN v DROP DEFAULT"),
            ("SET ACCESS LEVEL public", "SET ACCESS LEVEL Public"),
            ("DROP COLUMN d", "DROP COLUMN d"),
        ]
    ):
        assert message(root, f"ALTER TABLE {shared} {sql}") == f"{said}{description} (version {number + 3})"
    history = root.dicts(f"DESCRIBE TABLE {shared} HISTORY")
    assert [row["version"] for row in history] == list(range(1, 11))
    assert history[0]["changes"] == "CREATE TABLE" and history[-1]["changes"] == "DROP COLUMN d"
    assert [row["column_count"] for row in history[:2]] == [5, 6]


def test_a_subscription_goes_on(ws, root, shared):
    root.run(f"INSERT INTO {shared} VALUES (1, 'a', 1)")
    everything = ws.subscribe("all", f"SELECT * FROM {shared} WHERE n > 0")
    some = ws.subscribe("some", f"SELECT id, v FROM {shared} WHERE n > 0")
    everything.wait_ready()
    some.wait_ready()
    root.run(f"ALTER TABLE {shared} ADD COLUMN c TEXT DEFAULT 'old'; ALTER TABLE {shared} MODIFY COLUMN n DOUBLE")
    root.run(f"ALTER TABLE {shared} MODIFY COLUMN n BIGINT")
    root.run(f"INSERT INTO {shared} VALUES (2, 'b', 5000000000, 'new')")
    root.run(f"UPDATE {shared} SET v = 'A' WHERE id = 1")
    everything.wait_changes(2)
    some.wait_changes(2)
    acks = [message for message in everything.messages if message["type"] == "subscription_ack"]
    assert [field["name"] for field in acks[-1]["schema"]] == ["id", "v", "n", "_seq", "_deleted", "c"]
    assert [field["data_type"] for field in acks[-1]["schema"]][2] == "BigInt"
    inserted, updated = everything.changes
    assert inserted["rows"][0]["n"] == "5000000000" and inserted["rows"][0]["c"] == "new"
    # The row was stored before: its number is converted, its new column as it was added.
    assert updated["rows"][0]["n"] == "1" and updated["rows"][0]["c"] == "old"
    assert updated["old_values"][0] == {"_seq": updated["old_values"][0]["_seq"], "id": 1, "v": "a"}
    # What does not change for a subscriber is not told.
    assert [message["type"] for message in some.messages].count("subscription_ack") == 1


def test_a_subscription_ends_when_its_columns_go(ws, root, shared):
    where = ws.subscribe("where", f"SELECT id FROM {shared} WHERE n > 0")
    projection = ws.subscribe("projection", f"SELECT n FROM {shared}")
    other = ws.subscribe("other", f"SELECT v FROM {shared}")
    for live in (where, projection, other):
        live.wait_ready()
    root.run(f"ALTER TABLE {shared} DROP COLUMN n")
    for name in ("where", "projection"):
        error = ws.wait_error(name, "INVALID_SQL")
        assert error["message"].startswith("The table was altered: ") and "n" in error["message"]
    root.run(f"INSERT INTO {shared} VALUES (1, 'a')")
    other.wait_changes(1)


def test_a_subscription_follows_a_rename(ws, root, shared, ns):
    live = ws.subscribe("s", f"SELECT * FROM {shared} WHERE n > 0")
    live.wait_ready()
    root.run(f"RENAME TABLE {shared} TO renamed", namespace=ns)
    root.run(f"INSERT INTO {ns}.renamed VALUES (1, 'a', 1)")
    live.wait_changes(1)
    root.run(f"DROP TABLE {ns}.renamed")
    ws.wait_error("s", "TABLE_DROPPED")


def test_truncate_is_seen_as_deletes(ws, root, shared):
    root.run(f"INSERT INTO {shared} SELECT i, 'v', i FROM generate_series(1, 5) AS s(i)")
    root.flush(shared)
    root.run(f"INSERT INTO {shared} VALUES (6, 'hot', 6)")
    live = ws.subscribe("s", f"SELECT * FROM {shared}")
    rows = live.wait_ready()
    result = root.result(f"TRUNCATE TABLE {shared}")
    assert result["message"] == f"Table {shared} truncated successfully" and result["row_count"] == 6
    live.wait_changes(6)
    assert {change["change_type"] for change in live.changes} == {"delete"}
    assert {change["old_values"][0]["id"] for change in live.changes} == {1, 2, 3, 4, 5, 6}
    # Who comes back later learns it too.
    resumed = ws.subscribe("r", f"SELECT * FROM {shared}", {"from": max(int(row["_seq"]) for row in rows)})
    assert resumed.wait_ready() == []
    resumed.wait_changes(6)


def test_history_and_ordinals_outlive_restarts_and_renames():
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE h; CREATE SHARED TABLE h.t (id INT PRIMARY KEY, v TEXT, n INT)")
        root.run("INSERT INTO h.t VALUES (1, 'one', 1)")
        root.run("CREATE VIEW h.seen AS SELECT id, n FROM h.t")
        root.run("ALTER TABLE h.t ADD COLUMN gone TEXT DEFAULT 'before'")
        root.run("INSERT INTO h.t (id, v, n, gone) VALUES (2, 'two', 2, 'mine')")
        root.run("ALTER TABLE h.t MODIFY COLUMN n BIGINT")  # the highest slot, and then a column's that is gone
        root.run("ALTER TABLE h.t ADD COLUMN last TEXT DEFAULT 'last'")
        root.run("ALTER TABLE h.t DROP COLUMN gone; ALTER TABLE h.t DROP COLUMN last")
        server.restart()
        root.run("ALTER TABLE h.t ADD COLUMN fresh TEXT")
        assert root.rows("SELECT id, n, fresh FROM h.t ORDER BY id") == [[1, "1", None], [2, "2", None]]
        root.run("ALTER TABLE h.t ALTER COLUMN v SET DEFAULT 'none'")
        root.run("RENAME TABLE h.t TO renamed", namespace="h")
        server.restart()
        root.run("ALTER TABLE h.renamed DROP COLUMN fresh; ALTER TABLE h.renamed ADD COLUMN again TEXT")
        assert root.rows("SELECT id, v, again FROM h.renamed ORDER BY id") == [[1, "one", None], [2, "two", None]]
        changes = [
            "CREATE TABLE",
            "ADD COLUMN gone TEXT",
            "MODIFY COLUMN n BIGINT",
            "ADD COLUMN last TEXT",
            "DROP COLUMN gone",
            "DROP COLUMN last",
            "ADD COLUMN fresh TEXT",
            "ALTER COLUMN v SET DEFAULT 'none'",
            "RENAME TO renamed",
            "DROP COLUMN fresh",
            "ADD COLUMN again TEXT",
        ]
        history = root.dicts("DESCRIBE TABLE h.renamed HISTORY")
        assert [row["changes"] for row in history] == changes
        assert [row["version"] for row in history] == list(range(1, len(changes) + 1))
        schemas = root.dicts(
            "SELECT schema_version, columns, is_latest FROM system.schemas WHERE table_id = 'h:renamed' ORDER BY 1"
        )
        assert [row["schema_version"] for row in schemas] == list(range(1, len(changes) + 1))
        assert [row["is_latest"] for row in schemas] == [False] * (len(changes) - 1) + [True]
        columns = [
            {column["column_name"]: column["ordinal_position"] for column in json.loads(row["columns"])}
            for row in schemas
        ]
        assert columns[1]["gone"] == 6 and columns[3]["last"] == 7
        assert columns[6]["fresh"] == 8 and columns[-1]["again"] == 9
        # A view has a history likewise.
        root.run("CREATE OR REPLACE VIEW h.seen AS SELECT id, v FROM h.renamed")
        assert [row["changes"] for row in root.dicts("DESCRIBE h.seen HISTORY")] == [
            "CREATE VIEW",
            "COLUMNS CHANGED BENEATH",
            "CREATE OR REPLACE VIEW",
        ]


def segment_sizes(server, ns):
    return [file.stat().st_size for file in server.data_path.rglob("*.parquet") if ns in str(file)]


def test_compression_is_the_one_that_was_asked_for(server, root, ns):
    sizes = {}
    for codec in ("zstd", "none"):
        root.run(f"CREATE SHARED TABLE {ns}.c_{codec} (id INT PRIMARY KEY, v TEXT) WITH (COMPRESSION = '{codec}')")
        root.run(f"INSERT INTO {ns}.c_{codec} SELECT i, repeat('abc' || i % 7, 200) || i FROM generate_series(1, 2000) AS s(i)")
        root.flush(f"{ns}.c_{codec}")
        (sizes[codec],) = segment_sizes(server, f"c_{codec}")
    assert sizes["none"] > 10 * sizes["zstd"], sizes


def test_a_flush_cuts_segments_by_partition(server, root, ns):
    root.run(
        f"CREATE SHARED TABLE {ns}.p (day DATE, room TEXT, id INT, PRIMARY KEY (day, room, id)) PARTITION BY (day, room)"
    )
    assert [row["column_name"] for row in root.dicts(f"DESCRIBE {ns}.p") if row["is_partition_key"]] == ["day", "room"]
    root.run(
        f"INSERT INTO {ns}.p SELECT DATE '2024-01-01' + (i % 3)::INT, 'r' || (i % 2), i FROM generate_series(1, 60) AS s(i)"
    )
    root.run(f"DELETE FROM {ns}.p WHERE id = 7")
    root.flush(f"{ns}.p")
    assert len(segment_sizes(server, f"{ns}/p/")) == 6
    assert root.value(f"SELECT count(*) FROM {ns}.p WHERE day = DATE '2024-01-02'") == "19"
    assert root.value(f"SELECT count(*) FROM {ns}.p") == "59"


def test_altering_under_load(ws, server, root, shared):
    """Writers, a flusher and a subscriber while columns come, change and go: nobody fails, nothing is lost."""
    root.run(f"ALTER TABLE {shared} SET ACCESS LEVEL PUBLIC")
    live = ws.subscribe("s", f"SELECT id, v FROM {shared}")
    live.wait_ready()
    stop = threading.Event()
    written, failures = [], []

    def write(first):
        with server.root() as client:
            number = first
            while not stop.is_set():
                answers = [
                    client.sql(f"INSERT INTO {shared} (id, v) VALUES ({number}, 'w')"),
                    client.sql(f"UPDATE {shared} SET v = 'u' || id WHERE id = {number}"),
                    client.sql(f"SELECT v FROM {shared} WHERE id = {number}"),
                ]
                failures.extend(str(answer) for answer in answers if not answer.ok)
                if answers[2].ok and answers[2].results[0]["rows"] != [[f"u{number}"]]:
                    failures.append(f"{number}: {answers[2]}")
                written.append(number)
                number += 10

    threads = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    try:
        for round_number in range(6):
            root.run(f"ALTER TABLE {shared} ADD COLUMN c{round_number} INT NOT NULL DEFAULT {round_number}")
            root.run(f"ALTER TABLE {shared} ALTER COLUMN n TYPE {['TEXT', 'BIGINT'][round_number % 2]}")
            root.flush(shared)
            root.run(f"ALTER TABLE {shared} ALTER COLUMN c{round_number} TYPE BIGINT")
            if round_number % 2:
                root.run(f"ALTER TABLE {shared} DROP COLUMN c{round_number}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert root.value(f"SELECT count(*) FROM {shared}") == str(len(written))
    assert root.value(f"SELECT count(*) FROM {shared} WHERE v = 'u' || id AND c0 = 0 AND c2 = 2 AND c4 = 4") == str(
        len(written)
    )
    live.wait_changes(2 * len(written))
    last = {}
    for change in live.changes:
        row = change_row(change)
        last[row["id"]] = row["v"]
    assert last == {number: f"u{number}" for number in written}
