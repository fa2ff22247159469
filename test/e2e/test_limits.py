"""Bounds on requests, each at its edge, on a server where they are low; and queries that would take all there is."""

import json
import socket
import time

import pytest
from kalam_testlib import Server, ServerConfig, wait_until

MAX_SQL = 1048576
TIMEOUT_S = 2


@pytest.fixture(scope="module")
def low():
    config = ServerConfig(
        execution={"max_parameters": 5, "max_parameter_size_bytes": 100, "handler_timeout_seconds": TIMEOUT_S},
        limits={
            "max_result_rows": 5000,
            "max_result_bytes": 1000000,
            "max_nesting": 20,
            "query_memory_bytes": 300 << 20,
            "max_request_bytes": 3 << 20,
        },
        performance={"query_threads": 2},
    )
    with Server(config=config) as server:
        yield server


@pytest.fixture
def root(low):
    with low.root() as client:
        yield client


@pytest.fixture(scope="module")
def table(low):
    with low.root() as client:
        client.run("CREATE NAMESPACE app; CREATE TABLE app.t (id INT PRIMARY KEY, v TEXT)")
        client.run("INSERT INTO app.t SELECT i, repeat('x', 1000) FROM range(6000) r(i)")
    return "app.t"


# --- parameters


def test_number_of_parameters(root):
    five = ", ".join(f"${i}" for i in range(1, 6))
    assert root.rows(f"SELECT {five}", [1] * 5) == [[1] * 5]
    response = root.fails(f"SELECT {five}, $6", code="PARAM_COUNT_EXCEEDED", params=[1] * 6)
    assert response.message == "Parameter count exceeded: maximum 5 parameters allowed, got 6"


def test_size_of_parameters(root):
    assert root.value("SELECT length($1)", ["x" * 100]) == "100"
    response = root.fails("SELECT $1, $2", code="PARAM_SIZE_EXCEEDED", params=["", "x" * 101])
    assert response.message == "Parameter size exceeded: parameter at index 1 is 101 bytes (max 100 bytes)"
    # A text is measured in bytes, an array by what it holds.
    root.fails("SELECT $1", code="PARAM_SIZE_EXCEEDED", params=["ü" * 51])
    root.fails("SELECT $1", code="PARAM_SIZE_EXCEEDED", params=[[1.5] * 26])
    root.fails("SELECT $1", code="PARAM_SIZE_EXCEEDED", params=[{"a": "x" * 100}])


@pytest.mark.parametrize(
    "sql, params, message",
    [
        ("SELECT $1, $2", [1], "The statement has 2 parameters, but 1 values were given"),
        ("SELECT $2", [1], "The statement has 2 parameters, but 1 values were given"),
        ("SELECT $1", [], "The statement has 1 parameters, but 0 values were given"),
        ("SELECT ?", None, "The statement has 1 parameters, but 0 values were given"),
        ("SELECT 1", [1], "The statement has 0 parameters, but 1 values were given"),
        ("SELECT ?, ?", [1, 2, 3], "The statement has 2 parameters, but 3 values were given"),
    ],
)
def test_count_of_parameters(root, sql, params, message):
    assert root.fails(sql, code="PARAM_COUNT_MISMATCH", params=params).message == message


def test_parameters_may_be_used_twice_and_out_of_order(root):
    assert root.rows("SELECT $2, $1, $2", ["a", "b"]) == [["b", "a", "b"]]
    assert root.rows("SELECT ?, ?", [1, "x"]) == [[1, "x"]]


def test_values_of_parameters(root):
    values = [True, -9223372036854775808, 1e308, None, "it's \"$1\" ; -- \\ 🚀"]
    cells = root.rows("SELECT $1, $2, $3, $4, $5", values)[0]
    assert cells == [True, "-9223372036854775808", 1e308, None, values[4]]
    assert root.value("SELECT $1", [9223372036854775807]) == "9223372036854775807"
    assert root.value("SELECT $1", ["a\0b"]) == "a\0b"
    root.fails(
        "SELECT $1", "^Parameter \\$1 invalid: an integer of more", code="INVALID_PARAMETER", params=[9223372036854775808]
    )


def test_order_of_checks(root):
    """Length, then each statement, then the parameters' values, then a batch with parameters."""
    too_many = [1] * 6
    root.fails("SELECT '" + "x" * MAX_SQL, "^SQL query too long", code="INVALID_SQL", params=too_many)
    root.fails("SELECT 'open", code="BATCH_PARSE_ERROR", params=too_many)
    root.fails("SELEC 1", code="INVALID_SQL", params=too_many)
    root.fails("SELECT 1; SELEC 1", code="INVALID_SQL", params=too_many)
    root.fails("SELECT 1; DROP NAMESPACE IF EXISTS nowhere; SELEC", code="INVALID_SQL", params=[1])
    root.fails("SELECT 1; SELECT 2", code="PARAM_COUNT_EXCEEDED", params=too_many)
    root.fails("CREATE NAMESPACE x; SELECT 2", code="PARAMS_WITH_BATCH", params=[1])
    root.fails("SELECT 1; SELECT 2", code="PARAMS_WITH_BATCH", params=[1])
    root.fails("CREATE NAMESPACE x", "takes no parameters", code="INVALID_PARAMETER", params=[1])
    assert root.run("SELECT 1; SELECT 2", params=[]), "no parameters are none"


# --- sizes


def test_length_of_a_statement(root):
    around = len("SELECT length('') AS n")
    assert root.value("SELECT length('" + "x" * (MAX_SQL - around) + "') AS n") == str(MAX_SQL - around)
    response = root.fails("SELECT length('" + "x" * (MAX_SQL - around + 1) + "') AS n", code="INVALID_SQL")
    assert response.message == f"SQL query too long: {MAX_SQL + 1} bytes (maximum {MAX_SQL} bytes)"


def test_rows_of_a_result(root):
    assert len(root.rows("SELECT * FROM range(5000)")) == 5000
    response = root.fails("SELECT * FROM range(5001)", status=422, code="RESULT_TOO_LARGE")
    assert "5000 rows" in response.message and "limits.max_result_rows" in response.message


def test_bytes_of_a_result(root, table):
    assert len(root.rows(f"SELECT * FROM {table} LIMIT 900")) == 900
    # It is found while the answer is on its way, so the status line has gone out before.
    response = root.sql(f"SELECT * FROM {table} LIMIT 2000")
    assert response.json["status"] == "error" and response.code == "RESULT_TOO_LARGE"
    assert "limits.max_result_bytes" in response.message


def test_nesting_of_json(root):
    def nested(depth):
        return "[" * depth + "]" * depth

    def body(depth):
        return '{"sql": "SELECT 1", "x": ' + nested(depth) + "}"

    headers = {**root.auth_headers(), "Content-Type": "application/json"}
    assert root.request("POST", "/v1/api/sql", body(19), headers).ok
    response = root.request("POST", "/v1/api/sql", body(21), headers)
    assert response.status == 400 and response.code == "INVALID_INPUT"
    assert response.message.startswith("Invalid JSON payload: ")


# --- time and memory

ENDLESS = {
    "cross join": "SELECT count(*) FROM range(1000000) a, range(1000000) b",
    "recursion": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "regular expressions": "SELECT count(*) FROM range(100000) a(i), range(1000) b(j) "
    "WHERE regexp_matches(repeat('a', 1000) || i || j, '(a+)+b$')",
    "grouping": "SELECT count(*) FROM (SELECT i, count(*) FROM range(100000000) r(i) GROUP BY i)",
    "lambdas": "SELECT list_sum(list_transform(range(10000), x -> list_sum(list_transform(range(10000), y -> "
    "list_sum(list_transform(range(10000), z -> x * y + z))))))",
    "rows of a write": "UPDATE app.t SET v = (SELECT count(*) FROM range(1000000) a, range(1000000) b) WHERE id = 1",
    "explain": "EXPLAIN ANALYZE SELECT count(*) FROM range(1000000) a, range(1000000) b",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_queries_are_stopped(root, table, name):
    began = time.monotonic()
    root.fails(ENDLESS[name], "ran too long", status=408, code="TIMEOUT")
    assert TIMEOUT_S - 0.1 <= time.monotonic() - began < TIMEOUT_S + 10
    assert root.value("SELECT 1") == 1


LARGE = {
    "sort": "SELECT max(x) FROM (SELECT md5(i::TEXT) AS x FROM range(50000000) r(i) ORDER BY x LIMIT 10 OFFSET 40000000)",
    "list": "SELECT list(i) FROM range(1000000000) r(i)",
    "list of numbers": "SELECT list_sort(range(50000000))",
    "resized list": "SELECT len(list_resize([1], 1000000000))",
    "text": "SELECT length(repeat('x', 2000000000))",
    "texts": "SELECT max(length(repeat('x', 100000000 + i::INT))) FROM range(100) r(i)",
    "padding": "SELECT length(lpad('x', 2000000000, 'y'))",
    "format": "SELECT length(format('{:2000000000}', 5)), length(printf('%2000000000d', 5))",
    "replacement": "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))",
    "pattern": "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000000), 'g'))",
    "bits": "SELECT bit_count(bitstring('1', 2000000000))",
    "comparison": "SELECT levenshtein(repeat('a', 60000), repeat('b', 60000))",
    "doubling": "SELECT length(" + "repeat(" * 8 + "'x'" + ", 1000)" * 8 + ")",
}


@pytest.mark.parametrize("name", LARGE)
def test_large_queries_end_with_an_error(low, root, name):
    began = time.monotonic()
    response = root.sql(LARGE[name])
    assert response.code in ("QUERY_MEMORY_EXCEEDED", "TIMEOUT"), response
    assert response.status == {"QUERY_MEMORY_EXCEEDED": 422, "TIMEOUT": 408}[response.code]
    assert time.monotonic() - began < TIMEOUT_S + 10
    assert low.is_alive() and root.value("SELECT 1") == 1
    with open(f"/proc/{low.process.pid}/status", encoding="ascii") as status:
        most_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert most_kib < 3 << 20, "3 GiB, where the queries' bound is 300 MiB"


def test_what_fits_is_computed(root):
    assert root.value("SELECT len(range(1000000))") == "1000000"
    assert root.value("SELECT length(repeat('xy', 10000000))") == "20000000"
    assert root.value("SELECT length(replace(repeat('x', 1000000), 'x', 'yy'))") == "2000000"
    assert root.value("SELECT format('{:>10}', 5) || printf('%05d', 7) || lpad('x', 3, 'y')") == "         500007yyx"
    assert root.value("SELECT levenshtein('kitten', 'sitting')") == "3"
    assert root.value("SELECT count(*) FROM range(3000000)") == "3000000"
    assert root.value("SELECT len(generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-12-31', INTERVAL 1 HOUR))") == "8761"


# --- clients that do not read, or do not wait


def send(low, client, sql):
    """A socket on which that statement has been asked for."""
    body = json.dumps({"sql": sql}).encode()
    connection = socket.create_connection(("127.0.0.1", low.port))
    head = f"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_a_query_ends_when_its_client_goes():
    config = ServerConfig(execution={"handler_timeout_seconds": 600}, performance={"query_threads": 2})
    with Server(config=config) as server, server.root() as root:
        for _ in range(3):
            gone = [send(server, root, ENDLESS["cross join"]) for _ in range(2)]
            for connection in gone:
                connection.close()
        # Both threads are free again, long before the timeout.
        assert root.value("SELECT count(*) FROM range(10) a, range(3) b") == "30"


def test_clients_that_do_not_read_do_not_hold_up_others():
    config = ServerConfig(execution={"handler_timeout_seconds": 600}, performance={"query_threads": 2})
    with Server(config=config) as server, server.root() as root:
        stalled = [send(server, root, "SELECT * FROM range(1000000000)") for _ in range(6)]
        began = time.monotonic()
        assert root.value("SELECT count(*) FROM range(10) a, range(3) b") == "30"
        assert time.monotonic() - began < 25, "not the write timeout"
        for connection in stalled:
            connection.close()


# --- request ids


def test_request_ids(root):
    def id_for(given):
        return root.sql("SELECT 1", headers={"X-Request-ID": given}).headers["X-Request-ID"]

    assert id_for("a" * 128) == "a" * 128 and id_for("A-b_c.1:2/3") == "A-b_c.1:2/3"
    for odd in ("a" * 129, "has space", "é"):
        assert id_for(odd.encode("latin-1")) not in (odd, "")
    generated = {root.sql("SELECT 1").headers["X-Request-ID"] for _ in range(5)}
    assert len(generated) == 5
    assert root.sql("SELEC", headers={"X-Request-ID": "on-errors"}).headers["X-Request-ID"] == "on-errors"


def test_took_is_milliseconds_with_three_decimals(root):
    took = root.sql("SELECT 1").json["took"]
    assert 0 <= took < 60000 and round(took, 3) == took


def test_health_after_all_that(low, root):
    assert low.is_alive()
    wait_until(lambda: root.value("SELECT 1") == 1, "an answer")


def test_a_disk_without_room_takes_no_more_rows():
    with Server() as server:
        with server.root() as client:
            client.run("CREATE NAMESPACE app; CREATE TABLE app.t (id INT PRIMARY KEY, v TEXT)")
            client.run("INSERT INTO app.t VALUES (1, 'a'), (2, 'b')")
        server.config = ServerConfig(storage={"min_free_bytes": 1 << 50})
        server.restart()
        with server.root() as client:
            full = "The disk is full: less than storage.min_free_bytes is free; nothing was written"
            client.fails("INSERT INTO app.t VALUES (3, 'c')", full, status=503)
            client.fails("UPDATE app.t SET v = 'c' WHERE id = 1", full, status=503)
            client.run("DELETE FROM app.t WHERE id = 1")
            assert client.rows("SELECT id, v FROM app.t") == [[2, "b"]]
            client.run("DROP TABLE app.t")
        server.config = ServerConfig()
        server.restart()
        with server.root() as client:
            client.run("CREATE TABLE app.t (id INT PRIMARY KEY, v TEXT); INSERT INTO app.t VALUES (3, 'c')")
