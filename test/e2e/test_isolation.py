"""Another user's rows, and everything outside the database, are out of reach of any SQL."""

import pytest
from kalam_testlib import Server

SECRET = "bob-has-a-secret-7421"


@pytest.fixture(scope="module")
def place(server, root, alice, bob):
    """A namespace with a USER table, half of it flushed, in which alice and bob have rows; and tables around it."""
    root.run("CREATE NAMESPACE iso")
    root.run("CREATE USER TABLE iso.note (id INT PRIMARY KEY, body TEXT)")
    root.run("CREATE SHARED TABLE iso.open (id INT PRIMARY KEY, v TEXT) WITH (ACCESS_LEVEL = 'PUBLIC')")
    root.run(
        f"CREATE SHARED TABLE iso.closed (id INT PRIMARY KEY, v TEXT); INSERT INTO iso.closed VALUES (1, '{SECRET}')"
    )
    root.run("CREATE STREAM TABLE iso.flow (id INT PRIMARY KEY, v TEXT) WITH (TTL_SECONDS = 3600)")
    root.run("INSERT INTO iso.open VALUES (1, 'x'), (2, 'y')")
    for client, word in ((alice, "alice"), (bob, SECRET)):
        client.run(f"INSERT INTO iso.note VALUES (1, '{word} cold'), (2, '{word} cold')")
        client.run(f"INSERT INTO iso.flow VALUES (1, '{word}')")
    root.flush("iso.note")
    for client, word in ((alice, "alice"), (bob, SECRET)):
        client.run(f"INSERT INTO iso.note VALUES (3, '{word} hot')")
        client.run(f"UPDATE iso.note SET body = '{word} changed' WHERE id = 2")
    bob.run(f"INSERT INTO iso.note VALUES (77, '{SECRET} only here'); DELETE FROM iso.note WHERE id = 77")
    return "iso"


# Each returns something of the table; none may return what is bob's. {t} is the table of alice and bob.
READS = [
    "SELECT * FROM {t}",
    "SELECT * FROM {t} WHERE id = 1",
    "SELECT * FROM {t} WHERE id = 77",
    "SELECT * FROM {t} WHERE 1 = 1 OR TRUE",
    "SELECT * FROM {t} WHERE _deleted IN (true, false)",
    "SELECT * FROM {t} WHERE _seq > 0",
    "SELECT a.*, b.* FROM {t} a JOIN {t} b ON TRUE",
    "SELECT a.*, b.* FROM {t} a FULL OUTER JOIN {t} b ON a.id = b.id",
    "SELECT * FROM iso.open o LEFT JOIN {t} n ON n.id = o.id",
    "SELECT * FROM {t} NATURAL JOIN {t} x",
    "SELECT * FROM iso.open o, LATERAL (SELECT * FROM {t} n WHERE n.id = o.id) x",
    "SELECT (SELECT STRING_AGG(body, ',') FROM {t})",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM {t}))",
    "SELECT * FROM iso.open WHERE id IN (SELECT id FROM {t} WHERE body LIKE 'bob%') OR EXISTS (SELECT 1 FROM {t} WHERE id = 77)",
    "WITH x AS (SELECT * FROM {t}) SELECT * FROM x",
    "WITH x AS MATERIALIZED (SELECT * FROM {t}), y AS (SELECT * FROM x) SELECT * FROM y UNION ALL SELECT * FROM x",
    "WITH RECURSIVE x(id, body) AS (SELECT id, body FROM {t} UNION SELECT n.id, n.body FROM {t} n JOIN x ON n.id > x.id) "
    "SELECT * FROM x",
    "SELECT body FROM {t} UNION ALL SELECT v FROM iso.open",
    "SELECT body FROM {t} EXCEPT SELECT v FROM iso.open",
    "FROM {t}",
    "FROM {t} SELECT body",
    "SELECT COLUMNS(*) FROM {t}",
    "SELECT body, ROW_NUMBER() OVER (ORDER BY id) FROM {t} QUALIFY TRUE",
    "SELECT LIST(body), HISTOGRAM(body), ARRAY_AGG(STRUCT_PACK(b := body)) FROM {t}",
    "SELECT MIN(body), MAX(body), ANY_VALUE(body), FIRST(body), APPROX_QUANTILE(id, 0.5) FROM {t}",
    "SELECT * FROM {t} TABLESAMPLE 100%",
    "PIVOT {t} ON id USING FIRST(body)",
    "SELECT n FROM {t} n",
    "SELECT TO_JSON(n) FROM {t} n",
    "EXPLAIN SELECT * FROM {t}",
    "EXPLAIN ANALYZE SELECT * FROM {t} WHERE body LIKE 'bob%'",
    "SUMMARIZE {t}",
    "DESCRIBE TABLE {t}",
    "SHOW TABLES",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM system.tables",
    "INSERT INTO {t} SELECT id + 1000, body FROM {t} ON CONFLICT DO NOTHING; SELECT * FROM {t} WHERE id > 1000; "
    "DELETE FROM {t} WHERE id > 1000",
    "UPDATE {t} SET body = (SELECT STRING_AGG(body, ';') FROM {t}) WHERE id = 3; SELECT * FROM {t}; "
    "UPDATE {t} SET body = 'alice hot' WHERE id = 3",
    # Guesses at ways around the scope.
    "SELECT * FROM {t} WHERE user_id = 'bob'",
    "SELECT * FROM {t} WHERE _user = 'bob' OR _user_id = 'bob'",
    'SELECT * FROM "iso"."note" AS bob',
    "SELECT * FROM main.note",
    "SELECT * FROM kalam.iso.note",
    "SELECT * FROM memory.iso.note",
    "SELECT * FROM iso.note.bob",
    "EXECUTE AS USER 'bob' (SELECT * FROM {t})",
    "SELECT * FROM iso.closed",
    "SELECT * FROM (VALUES (1)) v(id) JOIN iso.closed USING (id)",
    "SELECT * FROM system.users",
    "SELECT * FROM system.jobs",
    "SELECT * FROM system.live",
    "SELECT error('x' || body) FROM {t}",
    "SELECT CAST(body AS INT) FROM {t}",
]


@pytest.mark.parametrize("sql", READS)
def test_no_read_shows_anothers_row(place, alice, bob, sql):
    """Whether it succeeds or fails, bob's text is nowhere in the answer; and the same for a reader without rows."""
    response = alice.sql(sql.format(t="iso.note"))
    assert response.status < 500, response
    # The statement itself may come back in an error; it names bob, but not his secret.
    assert SECRET not in response.text, response
    assert bob.count("iso.note") == 3


@pytest.mark.parametrize("role", ["service", "dba"])
def test_no_role_sees_anothers_row(place, server, role):
    client = server.user(f"iso_{role}", role)
    for sql in READS:
        if "closed" in sql or sql.startswith(("INSERT", "UPDATE", "EXECUTE")):
            continue
        assert SECRET not in client.sql(sql.format(t="iso.note")).text, sql
        assert SECRET not in client.sql(sql.format(t="iso.flow").replace("body", "v")).text, sql


def test_root_sees_only_its_own(place, root):
    assert root.rows("SELECT * FROM iso.note") == [] and root.rows("SELECT * FROM iso.note WHERE id = 1") == []
    assert root.count("iso.flow") == 0


def test_owner_sees_all_of_it(place, bob):
    """The other side: the reads above would prove nothing if nobody saw the rows."""
    assert bob.rows("SELECT id, body FROM iso.note ORDER BY id") == [
        [1, f"{SECRET} cold"],
        [2, f"{SECRET} changed"],
        [3, f"{SECRET} hot"],
    ]
    assert bob.rows("SELECT v FROM iso.flow") == [[SECRET]]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE iso.note SET body = 'x' WHERE body LIKE 'bob%'",
        "DELETE FROM iso.note WHERE body LIKE 'bob%'",
        "DELETE FROM iso.flow WHERE v LIKE 'bob%'",
        "UPDATE iso.note SET body = 'alice changed' WHERE id = 2",
        "DELETE FROM iso.note WHERE id IN (SELECT 77)",
    ],
)
def test_no_write_touches_anothers_row(place, alice, bob, sql):
    before = bob.rows("SELECT * FROM iso.note ORDER BY id")
    response = alice.sql(sql)
    assert response.ok and response.results[0]["row_count"] == 0, response
    assert bob.rows("SELECT * FROM iso.note ORDER BY id") == before


def test_uniqueness_says_nothing_of_others(place, alice):
    alice.run("INSERT INTO iso.note VALUES (77, 'free'); DELETE FROM iso.note WHERE id = 77")


def test_user_named_like_a_path_or_pattern(server, root, place):
    """Scopes are compared as a whole: none is a prefix or a pattern of another."""
    for name in ("ali", "alice2", "alice%", "Alice", "bob ", "*"):
        client = server.create_user(name)
        assert client.count("iso.note") == 0, name
        client.run(f"INSERT INTO iso.note VALUES (1, 'of {name}')")
        assert client.rows("SELECT body FROM iso.note") == [[f"of {name}"]]
    root.flush("iso.note")
    for name in ("ali", "alice2", "alice%", "Alice", "bob ", "*"):
        assert server.user(name).rows("SELECT body FROM iso.note") == [[f"of {name}"]]
    assert server.user("alice").count("iso.note") == 3


# --- the SQL engine as a door

FILE = "/etc/passwd"
DOORS = [
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM read_csv_auto('{file}')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_json('{file}')",
    "SELECT * FROM read_json_auto('{file}')",
    "SELECT * FROM read_json_objects('{file}')",
    "SELECT * FROM read_ndjson('{file}')",
    "SELECT * FROM read_parquet('{parquet}')",
    "SELECT * FROM parquet_scan('{parquet}')",
    "SELECT * FROM parquet_metadata('{parquet}')",
    "SELECT * FROM parquet_schema('{parquet}')",
    "SELECT * FROM parquet_file_metadata('{parquet}')",
    "SELECT * FROM parquet_kv_metadata('{parquet}')",
    "SELECT * FROM '{parquet}'",
    'SELECT * FROM "{parquet}"',
    "SELECT * FROM '{file}'",
    "SELECT * FROM 'x.parquet'",
    "SELECT * FROM 'x.csv'",
    "SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "FROM '{file}'",
    "WITH x AS (SELECT * FROM read_csv('{file}')) SELECT * FROM x",
    "SELECT (SELECT COUNT(*) FROM read_text('{file}'))",
    "SELECT * FROM iso_doors.t WHERE id IN (SELECT 1 FROM glob('/etc/*'))",
    "INSERT INTO iso_doors.t SELECT 1 FROM read_text('{file}')",
    "UPDATE iso_doors.t SET id = 1 WHERE EXISTS (SELECT 1 FROM read_text('{file}'))",
    "DELETE FROM iso_doors.t WHERE EXISTS (SELECT 1 FROM read_text('{file}'))",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('duckdb_tables')",
    "SELECT * FROM sqlite_scan('x', 'y')",
    "SELECT * FROM postgres_scan('x', 'y', 'z')",
    "SELECT * FROM iceberg_scan('x')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM seq_scan('x')",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT * FROM which_secret('s3://x', 's3')",
    "COPY (SELECT 1) TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "COPY iso_doors.t TO '{out}'",
    "COPY iso_doors.t FROM '{file}'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{out}'",
    "ATTACH '{out}'",
    "ATTACH '{out}' AS x (TYPE sqlite)",
    "ATTACH ':memory:' AS x",
    "DETACH memory",
    "USE memory.main",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs FROM 'http://127.0.0.1:9'",
    "LOAD httpfs",
    "LOAD '{out}'",
    "UPDATE EXTENSIONS",
    "PRAGMA database_list",
    "PRAGMA show_tables",
    "PRAGMA table_info('t')",
    "PRAGMA threads = 1",
    "PRAGMA enable_profiling",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET GLOBAL threads = 1",
    "SET SESSION search_path = 'main'; SET s3_region = 'x'",
    "SET VARIABLE x = 1",
    "RESET memory_limit",
    "SHOW ALL TABLES",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_columns()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_functions()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_extensions()",
    "SELECT * FROM duckdb_memory()",
    "SELECT * FROM duckdb_temporary_files()",
    "SELECT * FROM duckdb_logs()",
    "SELECT * FROM duckdb_views",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM pragma_user_agent()",
    "SELECT * FROM pragma_table_info('t')",
    "SELECT * FROM pragma_storage_info('t')",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM pg_tables",
    "SELECT * FROM pg_class",
    "SELECT * FROM pg_settings",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM system.information_schema.tables",
    "SELECT * FROM main.duckdb_tables",
    "SELECT * FROM temp.information_schema.tables",
    "SELECT * FROM information_schema.character_sets",
    "CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "CREATE MACRO m(x) AS x",
    "CREATE FUNCTION m(x) AS TABLE SELECT 1",
    "CREATE SEQUENCE s",
    "CREATE TYPE e AS ENUM ('a')",
    "CREATE SCHEMA s",
    "CREATE TEMP TABLE x (id INT)",
    "CREATE TABLE iso_doors.x AS SELECT * FROM read_text('{file}')",
    "CREATE VIEW iso_doors.v AS SELECT * FROM read_text('{file}')",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "CALL duckdb_tables()",
    "CALL pragma_version()",
    "EXPLAIN COPY (SELECT 1) TO '{out}'",
    "EXPLAIN ANALYZE SELECT * FROM read_text('{file}')",
    "SELECT nextval('s')",
    "SELECT pg_get_viewdef(1)",
    "SELECT add_parquet_key('k', 'x')",
    "SELECT * FROM enable_logging()",
    "SELECT write_log('x')",
]


@pytest.fixture(scope="module")
def doors(server, root):
    root.run("CREATE NAMESPACE iso_doors; CREATE TABLE iso_doors.t (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'PUBLIC')")
    root.run("INSERT INTO iso_doors.t VALUES (1)")
    root.flush("iso_doors.t")
    found = list(server.data_path.rglob("*.parquet"))
    assert found, "a segment, which the server itself may read, and SQL may not"
    return {"file": FILE, "parquet": found[0], "out": server.directory / "door-out"}


@pytest.mark.parametrize("sql", DOORS)
def test_doors_are_closed(doors, root, alice, server, sql):
    statement = sql.format(**doors)
    for client in (root, alice):
        response = client.sql(statement)
        assert response.status in (400, 403, 501), f"{client.user}: {statement}\n{response}"
        assert response.message, "a clear error"
        assert "root:x:" not in response.text and "PAR1" not in response.text
    assert not doors["out"].exists()
    assert root.rows("SELECT id FROM iso_doors.t") == [[1]]


def test_harmless_settings_of_client_libraries(alice):
    for sql in (
        "SET TIME ZONE 'UTC'",
        "SET NAMES 'utf8'",
        "SET client_encoding = 'UTF8'",
        "SET application_name = 'x'",
        "SET search_path = public",
        "SET extra_float_digits = 3",
    ):
        alice.run(sql)


def test_one_tenants_heavy_query_ends(root):
    """A query that would run for hours, or needs all memory, ends with an error and the server goes on."""
    with Server() as server:
        client = server.create_user("heavy")
        response = client.sql(
            "SELECT COUNT(*) FROM GENERATE_SERIES(1, 100) a, (SELECT 1 AS i UNION ALL SELECT 2) b "
            "WHERE REPEAT('x', 1000000000) = REPEAT('y', 1000000000)"
        )
        assert response.status in (200, 400, 408, 422), response
        assert client.value("SELECT 1") == 1
