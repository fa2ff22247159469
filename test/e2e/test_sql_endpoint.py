"""POST /v1/api/sql: its answers and parameters as clients of version 0.4 know them."""

import base64
import re

import pytest
from kalam_testlib.http_client import names
from kalam_testlib.server import ROOT_PASSWORD


# --- sql: the shape of answers


def test_ddl_answer(root, ns):
    response = root.sql(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert set(response.json) == {"status", "results", "took"}
    assert response.json["status"] == "success" and response.json["took"] >= 0
    assert response.results == [
        {"row_count": 0, "message": f"CREATE TABLE: user table {ns}.t created successfully", "as_user": "root"}
    ]


@pytest.mark.parametrize(
    "sql, message",
    [
        ("CREATE NAMESPACE {ns}_m", "Namespace '{ns}_m' created successfully"),
        ("CREATE NAMESPACE IF NOT EXISTS {ns}", "Namespace '{ns}' already exists"),
        ("DROP NAMESPACE IF EXISTS {ns}_none", "Namespace '{ns}_none' does not exist"),
        ("DROP NAMESPACE {ns}", "Namespace '{ns}' dropped successfully"),
        ("USE {ns}", "Namespace switched to '{ns}'"),
        (
            "CREATE STREAM TABLE {ns}.s (id INT PRIMARY KEY) WITH (TTL_SECONDS=5)",
            "CREATE TABLE: stream table {ns}.s created successfully",
        ),
        ("DROP TABLE IF EXISTS {ns}.none", "Table {ns}.none does not exist (skipped)"),
        ("CREATE USER '{ns}_u' WITH PASSWORD 'long-enough-1' ROLE user", "User '{ns}_u' created"),
        ("DROP USER IF EXISTS '{ns}_none'", "User '{ns}_none' does not exist (skipped)"),
    ],
)
def test_messages(root, ns, sql, message):
    result = root.result(sql.format(ns=ns))
    assert (result["message"], result["row_count"]) == (message.format(ns=ns), 0)


def test_messages_of_tables_and_flush(root, ns):
    assert root.result(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY)")["message"] == (
        f"CREATE TABLE: shared table {ns}.t created successfully"
    )
    root.fails(
        f"CREATE TABLE {ns}.t (id INT PRIMARY KEY)",
        f"Statement 1 failed: Already exists: Table {ns}.t already exists",
        code="SQL_EXECUTION_ERROR",
    )
    flush = f"STORAGE FLUSH TABLE {ns}.t"
    assert root.result(flush)["message"] == f"Storage flush skipped: no pending writes for table '{ns}.t'"
    root.run(f"INSERT INTO {ns}.t VALUES (1)")
    assert re.fullmatch(
        f"Storage flush started for table '{ns}.t'. Job ID: FL-\\w{{12,}}", root.result(flush)["message"]
    )
    assert re.fullmatch(
        f"Table {ns}.t dropped successfully. Cleanup job: CL-\\w{{12,}}", root.result(f"DROP TABLE {ns}.t")["message"]
    )
    root.fails(f"DROP TABLE {ns}.t", f"Not found: Table 't' not found in namespace '{ns}'")


def test_dml_answers(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    insert = root.sql(f"INSERT INTO {ns}.t VALUES (1, 'a'), (2, 'b')")
    assert insert.results == [{"row_count": 2, "message": "Inserted 2 row(s)", "as_user": "root"}]
    update = root.result(f"UPDATE {ns}.t SET v = 'c' WHERE id = 1")
    assert (update["row_count"], update["message"]) == (1, "Updated 1 row(s)")
    assert root.result(f"UPDATE {ns}.t SET v = 'c' WHERE id = 1")["message"] == "Updated 0 row(s)"
    assert root.result(f"DELETE FROM {ns}.t WHERE id > 0")["message"] == "Deleted 2 row(s)"


def test_select_answer(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id BIGINT PRIMARY KEY, v TEXT NOT NULL, d DECIMAL(10,2), e EMBEDDING(2))")
    root.run(f"INSERT INTO {ns}.t VALUES (1, 'a', 1.5, '[1,2]')")
    for sql in (f"SELECT * FROM {ns}.t", f"SELECT * FROM {ns}.t WHERE id = 1"):
        response = root.sql(sql)
        assert response.json["status"] == "success" and response.json.get("error") is None
        result = response.results[0]
        assert set(result) == {"schema", "rows", "row_count", "as_user"}
        seq = {"name": "_seq", "data_type": "BigInt", "index": 4, "flags": ["nn"]}
        deleted = {"name": "_deleted", "data_type": "Boolean", "index": 5, "flags": ["nn"]}
        assert result["schema"] == [
            {"name": "id", "data_type": "BigInt", "index": 0, "flags": ["pk", "nn", "uq"]},
            {"name": "v", "data_type": "Text", "index": 1, "flags": ["nn"]},
            {"name": "d", "data_type": {"Decimal": {"precision": 10, "scale": 2}}, "index": 2},
            {"name": "e", "data_type": {"Embedding": 2}, "index": 3},
            seq,
            deleted,
        ], sql
        row = result["rows"][0]
        assert row[:4] == ["1", "a", "1.50", [1, 2]] and row[5] is False, sql
        assert row[4].isdigit() and int(row[4]) > 0, "_seq is a BigInt, so a string"
        assert result["row_count"] == 1


def test_computed_columns_have_types_and_no_flags(root):
    result = root.result(
        "SELECT 1 = 1 AS b, COUNT(*) AS n, SUM(2) AS s, 1.5::DOUBLE AS d, 'x' AS t, NOW() AS ts, DATE '2024-01-02' AS da"
    )
    types = {field["name"]: field["data_type"] for field in result["schema"]}
    assert types["b"] == "Boolean" and types["n"] == "BigInt" and types["s"] == "BigInt" and types["d"] == "Double"
    assert types["t"] == "Text" and types["ts"] in ("Timestamp", "DateTime") and types["da"] == "Date"
    assert all("flags" not in field for field in result["schema"])
    assert result["rows"][0][1:4] == ["1", "2", 1.5]


def test_empty_result_has_schema_and_rows(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY)")
    result = root.result(f"SELECT id FROM {ns}.t")
    assert names(result) == ["id"] and result["rows"] == [] and result["row_count"] == 0


def test_data_type_names(root, ns):
    types = {
        "Boolean": "BOOLEAN",
        "SmallInt": "SMALLINT",
        "Int": "INT",
        "BigInt": "BIGINT",
        "Float": "FLOAT",
        "Double": "DOUBLE",
        "Text": "TEXT",
        "Timestamp": "TIMESTAMP",
        "DateTime": "DATETIME",
        "Date": "DATE",
        "Time": "TIME",
        "Json": "JSON",
        "Bytes": "BYTES",
        "Uuid": "UUID",
        "File": "FILE",
    }
    columns = ", ".join(f"c_{wire} {sql}" for wire, sql in types.items())
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, {columns})")
    schema = root.result(f"SELECT * FROM {ns}.t")["schema"]
    assert {field["name"][2:]: field["data_type"] for field in schema if field["name"].startswith("c_")} == {
        t: t for t in types
    }


def test_json_is_text_and_floats_that_are_no_numbers_are_null(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, j JSON, f FLOAT, d DOUBLE)")
    root.run(f"INSERT INTO {ns}.t VALUES (1, '{{\"a\":1}}', 'NaN', '-Infinity')")
    result = root.result(f"SELECT * FROM {ns}.t")
    assert result["rows"][0][1:4] == ['{"a":1}', None, None]
    assert "f" in str(result["warnings"]) and "d" in str(result["warnings"])


def test_large_result_is_whole_and_in_order(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t SELECT i, REPEAT('x', 100) FROM GENERATE_SERIES(1, 20000) AS s(i)")
    rows = root.rows(f"SELECT id FROM {ns}.t")
    assert sorted(row[0] for row in rows) == list(range(1, 20001)), "no silent LIMIT"
    assert [row[0] for row in root.rows(f"SELECT id FROM {ns}.t WHERE id <= 5000")] == list(range(1, 5001))
    assert len(root.rows(f"SELECT * FROM {ns}.t")) == 20000


# --- sql: parameters and namespaces


def test_parameters(root, ns):
    root.run(
        f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, b BOOLEAN, f DOUBLE, t TEXT, d DECIMAL(8,2), u UUID, j JSON, y BYTES, "
        "e EMBEDDING(2), ts TIMESTAMP)"
    )
    uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    insert = f"INSERT INTO {ns}.t VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    root.run(insert, [1, True, 1.5, "it's $2", "-0.50", uuid, {"a": [1]}, [0, 255], [1, 2.5], "2024-01-02T03:04:05Z"])
    root.run(insert, [2, None, 2, "", 3, list(bytes.fromhex(uuid.replace("-", ""))), "[]", None, None, None])
    assert root.rows(f"SELECT id, b, f, t, d, u, j, y, e, ts FROM {ns}.t ORDER BY id") == [
        [1, True, 1.5, "it's $2", "-0.50", uuid, '{"a":[1]}', [0, 255], [1, 2.5], 1704164645000000],
        [2, None, 2, "", "3.00", uuid, "[]", None, None, None],
    ]
    assert root.rows(f"SELECT t FROM {ns}.t WHERE id = $1", [1]) == [["it's $2"]]
    assert root.rows(f"SELECT id FROM {ns}.t WHERE t = $2 AND id < $1", [5, ""]) == [[2]]
    assert root.rows(f"SELECT id FROM {ns}.t WHERE id + $1 = $1 + 1", [7]) == [[1]]
    assert root.affected(f"UPDATE {ns}.t SET t = $1 WHERE id = $2", ["new", 2]) == 1
    assert root.affected(f"DELETE FROM {ns}.t WHERE id = $1", [1]) == 1
    assert root.rows(f"SELECT id, t FROM {ns}.t") == [[2, "new"]]
    assert root.value("SELECT $1", ["x'; DROP TABLE t; --"]) == "x'; DROP TABLE t; --"


def test_cached_statement_takes_other_parameters(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    for number in range(30):
        root.run(f"INSERT INTO {ns}.t VALUES ($1, $2)", [number, f"v{number}"])
    for number in range(30):
        assert root.rows(f"SELECT v FROM {ns}.t WHERE id = $1", [number]) == [[f"v{number}"]]
    assert root.rows(f"SELECT v FROM {ns}.t WHERE id = $1", [None]) == []
    assert root.rows(f"SELECT v FROM {ns}.t WHERE id = $1", ["7"]) == [["v7"]]


@pytest.mark.parametrize(
    "sql, params, code",
    [
        ("SELECT $1, $2", [1], "PARAM_COUNT_MISMATCH"),
        ("SELECT $1", [1, 2], "PARAM_COUNT_MISMATCH"),
        ("SELECT $1", [], "PARAM_COUNT_MISMATCH"),
        ("SELECT 1", [1] * 51, "PARAM_COUNT_EXCEEDED"),
        ("SELECT $1", ["x" * 524289], "PARAM_SIZE_EXCEEDED"),
        ("SELECT $1; SELECT 2", [1], "PARAMS_WITH_BATCH"),
        ("CREATE NAMESPACE x", [1], "INVALID_PARAMETER"),
    ],
)
def test_bad_parameters(root, sql, params, code):
    response = root.fails(sql, code=code, params=params)
    if code == "PARAM_COUNT_EXCEEDED":
        assert response.message == "Parameter count exceeded: maximum 50 parameters allowed, got 51"
    if code == "PARAM_SIZE_EXCEEDED":
        assert response.message.startswith("Parameter size exceeded: parameter at index")
    if code == "PARAMS_WITH_BATCH":
        assert response.message == "Parameters not supported with multi-statement batches"


def test_namespace_of_the_request(root, ns):
    root.run("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (5)", namespace=ns)
    assert root.rows("SELECT id FROM t", namespace=ns) == [[5]]
    assert root.rows(f"SELECT id FROM {ns}.t") == [[5]]
    root.fails("SELECT id FROM t", "(?i)not found")


def test_statements_each_have_a_result(root, ns):
    results = root.run(
        f"CREATE TABLE {ns}.t (id INT PRIMARY KEY); INSERT INTO {ns}.t VALUES (1), (2); "
        f"SELECT id FROM {ns}.t; DELETE FROM {ns}.t WHERE id = 1"
    )
    assert [result["row_count"] for result in results] == [0, 2, 2, 1]
    assert "message" not in results[2] and results[3]["message"] == "Deleted 1 row(s)"


def test_batch_that_fails_keeps_the_results_before(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY)")
    response = root.fails(
        f"INSERT INTO {ns}.t VALUES (1); INSERT INTO {ns}.t VALUES (1); INSERT INTO {ns}.t VALUES (3)",
        "^Statement 2 failed: Already exists: Primary key violation: value '1' already exists in column 'id'",
        code="SQL_EXECUTION_ERROR",
    )
    assert [result["message"] for result in response.results] == ["Inserted 1 row(s)"]
    assert root.rows(f"SELECT id FROM {ns}.t") == [[1]]


def test_errors_show_the_statement_to_admins_only(root, alice, ns):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY)")
    sql = f"SELECT nope FROM {ns}.t"
    shown = root.fails(sql, "nope", code="SQL_EXECUTION_ERROR")
    assert set(shown.json) >= {"status", "results", "took", "error"} and shown.json["results"] == []
    assert sql in shown.error["details"]
    hidden = alice.fails(f"SELECT * FROM {ns}.missing_table", code="SQL_EXECUTION_ERROR")
    assert hidden.message == "SQL statement failed" and "details" not in hidden.error
    alice.fails("SELEC 1", "^SQL statement is invalid or not allowed$", code="INVALID_SQL")
    alice.fails("SELECT 'open", "^Failed to parse SQL batch$", code="BATCH_PARSE_ERROR")
    alice.run(f"INSERT INTO {ns}.t VALUES (1)")
    alice.fails(f"INSERT INTO {ns}.t VALUES (1)", "Primary key violation: value '1'")


def test_subscribe_over_http_describes_where_to_go(root, ns, server):
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY)")
    for sql in (
        f"SUBSCRIBE TO {ns}.t WHERE id > 5 OPTIONS (last_rows=10)",
        f"SUBSCRIBE TO SELECT * FROM {ns}.t",
        f"LIVE SELECT * FROM {ns}.t",
    ):
        row = root.dicts(sql)[0]
        assert row["status"] == "subscription_required"
        assert row["ws_url"] == f"ws://127.0.0.1:{server.port}/v1/ws"
        subscription = row["subscription"]
        assert re.match(f"sub-{ns}-t-[0-9a-f-]{{36}}$", subscription["id"])
        assert subscription["sql"].upper().startswith("SELECT") and f"{ns}.t" in subscription["sql"]
    # A table without a namespace is one of the request's.
    for sql, wanted in (
        ("SUBSCRIBE TO t WHERE id > 5 OPTIONS (last_rows=10)", f"SELECT * FROM {ns}.t WHERE id > 5"),
        ('SUBSCRIBE TO "t"', f'SELECT * FROM {ns}."t"'),
        (
            "LIVE SELECT id FROM /* mine */ t WHERE id > extract(year FROM CURRENT_DATE)",
            f"SELECT id FROM /* mine */ {ns}.t WHERE id > extract(year FROM CURRENT_DATE)",
        ),
        ("SUBSCRIBE TO SELECT id FROM t", f"SELECT id FROM {ns}.t"),
        (f"LIVE SELECT * FROM {ns}.t", f"SELECT * FROM {ns}.t"),
    ):
        assert root.dicts(sql, namespace=ns)[0]["subscription"]["sql"] == wanted
    assert root.dicts(f"SUBSCRIBE TO {ns}.t OPTIONS (last_rows=10)")[0]["subscription"]["options"] == {"last_rows": 10}


def test_start_up_probe_of_the_terminal_client_works_for_every_role(root, alice):
    for client in (root, alice):
        assert client.result("SELECT name FROM system.namespaces LIMIT 1")["schema"][0]["name"] == "name"
    assert "default" in [row[0] for row in root.rows("SELECT name FROM system.namespaces")]


def test_show(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY)")
    namespaces = root.dicts("SHOW NAMESPACES")
    assert list(namespaces[0]) == ["namespace_id", "name", "created_at", "options", "table_count"]
    assert [row["table_count"] for row in namespaces if row["name"] == ns] == [1]
    tables = root.dicts(f"SHOW TABLES IN {ns}")
    assert [
        (
            row["table_id"],
            row["table_name"],
            row["namespace_id"],
            row["table_type"],
            row["schema_version"],
            row["is_latest"],
        )
        for row in tables
    ] == [(f"{ns}:t", "t", ns, "shared", 1, True)]
    assert len(tables[0]) == 14 and f"{ns}:t" in [row["table_id"] for row in root.dicts("SHOW TABLES")]


def test_explain(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY)")
    assert root.rows(f"EXPLAIN SELECT COUNT(*) FROM {ns}.t")


def test_request_id(root):
    assert root.sql("SELECT 1", headers={"X-Request-ID": "my-request-7"}).headers["X-Request-ID"] == "my-request-7"
    assert root.sql("SELECT 1").headers["X-Request-ID"]
    odd = root.sql("SELECT 1", headers={"X-Request-ID": "bad id <script>"}).headers["X-Request-ID"]
    assert odd and "<" not in odd


def test_basic_authorization_is_a_client(server, root, ns):
    def basic(user, password):
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        return server.client().sql("SELECT CURRENT_USER()", headers={"Authorization": f"Basic {token}"})

    assert basic("root", ROOT_PASSWORD).results[0]["rows"] == [["root"]]
    wrong = basic("root", "wrong")
    assert (wrong.status, wrong.code, wrong.message) == (401, "INVALID_CREDENTIALS", "Invalid credentials")


def test_column_names_show_what_was_written(root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.named (id INT PRIMARY KEY)")
    response = root.sql(f"SELECT (SELECT count(*) FROM {ns}.named), id + 1 FROM {ns}.named")
    names = [field["name"] for field in response.json["results"][0]["schema"]]
    assert "kalamdb" not in names[0] and f"{ns}.named" in names[0], names
