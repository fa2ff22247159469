"""Malformed and huge requests, and places where no server can run: each a clear error, and the server goes on."""

import json
import os
import resource
import signal
import socket
import subprocess

import pytest
from kalam_testlib import Server, ServerConfig, StartError, wait_until
from kalam_testlib.server import binary


@pytest.fixture(autouse=True)
def still_there(server, root):
    yield
    assert server.is_alive()
    assert root.value("SELECT 1") == 1


def post(server, client, body, content_type="application/json"):
    return server.client().request("POST", "/v1/api/sql", body, {**client.auth_headers(), "Content-Type": content_type})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"}",
        b"null",
        b"[]",
        b"5",
        b'"SELECT 1"',
        b"{}",
        b'{"sql":null}',
        b'{"sql":5}',
        b'{"sql":["SELECT 1"]}',
        b'{"sql":"SELECT 1"',
        b'{"sql":"SELECT 1"}}',
        b'{"sql":"SELECT 1","params":{}}',
        b'{"sql":"SELECT 1","params":"x"}',
        b'{"sql":"SELECT 1","namespace_id":5}',
        b'{"sql":"\xff\xfe"}',
        b'{"sql":"\\ud800"}',
        b"[" * 200000,
        b'{"sql":"SELECT $1","params":[' + b"[" * 100000 + b"]" * 100000 + b"]}",
        b"\x00" * 100,
        b"sql=SELECT+1",
        b'{"sql":"SELECT 1","sql":',
        b'{"sql":"a\nb"}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_malformed_json(server, root, body):
    response = post(server, root, body)
    assert response.status == 400, response
    assert response.json["status"] == "error" and response.json["results"] == []
    assert response.code in ("INVALID_INPUT", "INVALID_PARAMETER"), response
    assert len(response.message) < 1000


def test_unknown_members_are_ignored(server, root):
    assert post(server, root, b'{"sql":"SELECT 1","more":{"x":[1]}}').ok


@pytest.mark.parametrize(
    "sql, code",
    [
        ("", "EMPTY_SQL"),
        ("   ", "EMPTY_SQL"),
        (";;;", "EMPTY_SQL"),
        ("/* */ -- x", "EMPTY_SQL"),
        ("SELECT 'x", "BATCH_PARSE_ERROR"),
        ('SELECT "x', "BATCH_PARSE_ERROR"),
        ("SELECT /* x", "BATCH_PARSE_ERROR"),
        ("SELECT 1 +", "INVALID_SQL"),
        ("SELECT * FROM", "INVALID_SQL"),
        ("HELLO WORLD", "INVALID_SQL"),
        (")", "INVALID_SQL"),
        ("INSERT INTO", "INVALID_SQL"),
        ("CREATE TABLE", "INVALID_SQL"),
        ("CREATE NAMESPACE", "INVALID_SQL"),
        ("CREATE USER", "INVALID_SQL"),
        ("DROP", "INVALID_SQL"),
        ("STORAGE FLUSH", "INVALID_SQL"),
        ("SUBSCRIBE TO", "INVALID_SQL"),
        ("SELECT 1; SELEC 2", "INVALID_SQL"),
        ("SELECT $0", None),
        ("SELECT $99999999999", None),
        ("SELECT \x00", None),
        ("SELECT '\x01\x02'", "ok"),
        ("\ufeffSELECT 1", None),
        ("SELECT 1 FROM", "INVALID_SQL"),
        ("SELECT 1e999999", None),
        ("SELECT " + "9" * 10000, None),
        ("SELECT X'ZZ'", None),
        ("SELECT 1 WHERE 1 = ", "INVALID_SQL"),
    ],
)
def test_malformed_sql(root, sql, code):
    response = root.sql(sql)
    if code == "ok":
        assert response.ok
    elif code is None:
        assert response.status in (200, 400), response
    else:
        assert (response.status, response.code) == (400, code), response


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 20000 + "1" + ")" * 20000,
        "SELECT " + "NOT " * 100000 + "TRUE",
        "SELECT " + "-" * 1 + "- " * 100 + "\n1" + " + 1" * 100000,
        "SELECT " + "CASE WHEN TRUE THEN " * 5000 + "1" + " END" * 5000,
        "SELECT * FROM " + "(SELECT * FROM " * 3000 + "(SELECT 1)" + ")" * 3000,
        "WITH " + ", ".join(f"a{n} AS (SELECT {n})" for n in range(5000)) + " SELECT * FROM a1",
        "SELECT 1" + " UNION ALL SELECT 1" * 20000,
        "SELECT " + ", ".join("1" for _ in range(100000)),
        "SELECT 1 WHERE 1 IN (" + ", ".join(map(str, range(100000))) + ")",
        "SELECT " + "ABS(" * 10000 + "1" + ")" * 10000,
        "SELECT '" + "x" * 1000000 + "'",
        "CREATE TABLE x.y (" + ", ".join(f"c{n} INT" for n in range(20000)) + ")",
        "SELECT 1;" * 50000,
    ],
    ids=lambda sql: sql[:20],
)
def test_huge_sql(root, sql):
    response = root.sql(sql)
    assert response.status in (200, 400, 408, 422), response
    assert root.value("SELECT 1") == 1


def test_sql_too_long(root):
    response = root.fails("SELECT '" + "x" * 1048576 + "'", code="INVALID_SQL")
    assert response.message == "SQL query too long: 1048585 bytes (maximum 1048576 bytes)"
    assert root.sql("SELECT 1 --" + "x" * (1048576 - 11)).ok, "exactly as long as is allowed"


def test_body_too_large(server, root):
    """Refused by its announced length, before it is sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(
            f"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {root.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 10485761\r\n\r\n".encode()
        )
        status, body = read_response(raw)
    assert status == 413
    assert body == {
        "error": "BODY_TOO_LARGE",
        "message": "Request body exceeds maximum allowed size",
        "size_bytes": 10485761,
        "max_bytes": 10485760,
    }


def read_response(raw):
    data = b""
    while b"\r\n\r\n" not in data:
        received = raw.recv(65536)
        if not received:
            break
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        received = raw.recv(65536)
        if not received:
            break
        body += received
    status = int(head.split(b" ")[1]) if head else None
    return status, json.loads(body) if body else None


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 1000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_malformed_http(server, request_bytes):
    """Answered with a 4xx, or the connection is closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(request_bytes)
        try:
            raw.shutdown(socket.SHUT_WR)
            status, _ = read_response(raw)
        except (ConnectionError, OSError):
            status = None
    assert status is None or 400 <= status < 600, status


def test_malformed_frames(server, root):
    frames = [
        b"\x81\x05hello",
        b"\xff\xff",
        b"\x81\xff" + b"\xff" * 8 + b"\x00" * 4,
        b"\x83\x80\x00\x00\x00\x00",
        b"\x89\xfe\x00\xff" + b"\x00" * 259,
        b"\x01\x80\x00\x00\x00\x00\x81\x80\x00\x00\x00\x00",
        b"\x88\x81\x00\x00\x00\x00\x01",
    ]
    for frame in frames:
        ws = server.websocket(root)
        with ws.send_lock:
            ws.socket.sendall(frame)
        ws.wait_closed()
        assert root.value("SELECT 1") == 1, frame


def test_stalled_connections_hinder_nobody(server, root):
    stalled = []
    for number in range(200):
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        raw.sendall(
            (b"", b"POST /v1/api/sql HT", b"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")[
                number % 3
            ]
        )
        stalled.append(raw)
    for number in range(20):
        assert root.value(f"SELECT {number}") == number
    for raw in stalled:
        raw.close()


def test_client_that_leaves_in_the_middle(server, root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, v TEXT)")
    root.run(f"INSERT INTO {ns}.t SELECT i, REPEAT('x', 1000) FROM GENERATE_SERIES(1, 20000) AS s(i)")
    body = json.dumps({"sql": f"SELECT * FROM {ns}.t"}).encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
            raw.sendall(
                f"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {root.token}\r\nContent-Type: application/json"
                f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            assert raw.recv(1000)
    assert root.count(f"{ns}.t") == 20000


def test_result_bound():
    with Server(ServerConfig(limits={"max_result_rows": 100})) as server:
        root = server.root()
        assert len(root.rows("SELECT * FROM GENERATE_SERIES(1, 100)")) == 100
        # Rows may be on their way already when the bound is reached: then the answer ends with the error.
        response = root.sql("SELECT * FROM GENERATE_SERIES(1, 101)")
        assert response.code == "RESULT_TOO_LARGE" and "100" in response.message and response.json["status"] == "error"


def test_queries_per_second():
    with Server(ServerConfig(rate_limit={"max_queries_per_sec": 10, "apply_to_loopback": True})) as server:
        user = server.create_user("hasty")
        found = wait_until(
            lambda: (lambda r: r if r.status != 200 else None)(user.sql("SELECT 1")), "the bound", interval_s=0
        )
        assert (found.status, found.code, found.message) == (
            429,
            "RATE_LIMIT_EXCEEDED",
            "Too many queries per second. Please slow down.",
        )
        wait_until(lambda: user.sql("SELECT 1").ok, "the end of it", interval_s=0.1)


# --- places where no server can run


def refused(**options):
    """Starts a server that must not start; its one line on standard error."""
    with pytest.raises(StartError) as caught:
        with Server(**options):
            pass
    assert caught.value.code == 1, caught.value
    lines = [line for line in caught.value.stderr.splitlines() if line.startswith("kalamdb: ")]
    assert len(lines) == 1 and caught.value.stderr.splitlines()[-1] == lines[0], caught.value
    return lines[0]


def test_second_server_on_the_same_data(server):
    text = refused(config=ServerConfig(storage={"data_path": str(server.data_path)}))
    assert str(server.data_path) in text and ("in use" in text or "another" in text), text


def test_port_in_use(server):
    text = refused(config=ServerConfig(server={"port": server.port}))
    assert str(server.port) in text and "in use" in text.lower(), text


def test_data_path_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    text = refused(config=ServerConfig(storage={"data_path": str(tmp_path / "file/data")}))
    assert str(tmp_path / "file") in text, text


def test_read_only_data_directory(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    if os.geteuid() != 0:
        data.chmod(0o500)
    elif (
        subprocess.run(["mount", "--bind", data, data], capture_output=True).returncode
        or subprocess.run(["mount", "-o", "remount,ro,bind", data, data], capture_output=True).returncode
    ):
        subprocess.run(["umount", data], capture_output=True)
        pytest.skip("this machine does not let us mount a directory read-only")
    try:
        text = refused(config=ServerConfig(storage={"data_path": str(data)}))
        assert str(data) in text and "read-only" in text.lower() or "permission" in text.lower(), text
    finally:
        subprocess.run(["umount", data], capture_output=True)


@pytest.mark.parametrize(
    "sections, words",
    [
        ({"server": {"prot": 8080}}, ["server.prot", "port"]),
        ({"sever": {"port": 0}}, ["sever", "server"]),
        ({"auth": {"bcrypt_costs": 4}}, ["auth.bcrypt_costs", "bcrypt_cost"]),
        ({"server": {"port": "eighty"}}, ["server.port"]),
        ({"server": {"port": 70000}}, ["server.port"]),
        ({"auth": {"bcrypt_cost": 99}}, ["auth.bcrypt_cost"]),
        ({"logging": {"level": "loud"}}, ["logging.level"]),
        ({"server": {"host": "0.0.0.0"}}, ["cors"]),
        ({"server": {"host": "0.0.0.0"}, "auth": {"jwt_secret": "short"}}, []),
        ({"server": {"host": "no such host"}}, ["no such host"]),
    ],
)
def test_bad_configuration(sections, words):
    text = refused(config=ServerConfig(**sections))
    for word in words:
        assert word in text, text


def test_configuration_that_is_no_toml():
    class Broken(ServerConfig):
        def text(self, data_path):
            return "[server\nport = "

    assert "server.toml" in refused(config=Broken())


def test_without_a_configuration_file_there_are_defaults(tmp_path):
    environment = {**os.environ, "KALAMDB_SERVER_PORT": "0", "KALAMDB_ROOT_PASSWORD": "correct-horse-battery"}
    process = subprocess.Popen(
        [str(binary())], cwd=tmp_path, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 0 and line.startswith("KalamDB listening on http://127.0.0.1:"), error
    assert (tmp_path / "data").is_dir()


def test_environment_wins_over_the_file(tmp_path):
    with Server(environment={"KALAMDB_DATA_DIR": str(tmp_path / "elsewhere")}) as server:
        assert server.root().value("SELECT 1") == 1
        assert (tmp_path / "elsewhere/rocksdb").is_dir() and not server.data_path.exists()


# --- a disk that is full


def insert_until_refused(root, table, first=0):
    """Inserts rows of 100 KB until one is refused; (acknowledged keys, the refusal)."""
    acknowledged = []
    for key in range(first, first + 5000):
        response = root.sql(f"INSERT INTO {table} VALUES ({key}, $1)", [os.urandom(50000).hex()])
        if not response.ok:
            return acknowledged, response
        acknowledged.append(key)
    raise AssertionError("the disk never became full")


def check_kept(root, table, acknowledged):
    found = [row[0] for row in root.rows(f"SELECT id FROM {table} ORDER BY id")]
    assert set(acknowledged) <= set(found), "an acknowledged row is missing"
    assert {length for (length,) in root.rows(f"SELECT LENGTH(v) FROM {table}")} <= {"100000"}


def test_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small disk; test_file_size_limit covers the refusal")
    try:
        filler = disk / "filler"
        with Server(ServerConfig(storage={"data_path": str(disk / "data")})) as server:
            root = server.root()
            root.run("CREATE NAMESPACE f; CREATE SHARED TABLE f.t (id INT PRIMARY KEY, v TEXT)")
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
            filler.write_bytes(b"\0" * max(0, free - (24 << 20)))
            acknowledged, refusal = insert_until_refused(root, "f.t")
            assert refusal.status in (400, 500, 503) and refusal.code, refusal
            check_kept(root, "f.t", acknowledged)
            flush = root.sql("STORAGE FLUSH TABLE f.t")
            assert flush.status in (200, 400, 500, 503), flush
            check_kept(root, "f.t", acknowledged)
            filler.unlink()
            wait_until(
                lambda: root.sql("INSERT INTO f.t VALUES (100000, REPEAT('x', 100000))").ok,
                "service again",
                interval_s=0.2,
            )
            check_kept(root, "f.t", [*acknowledged, 100000])
            server.restart()
            check_kept(root, "f.t", [*acknowledged, 100000])
            root.flush("f.t")
            check_kept(root, "f.t", [*acknowledged, 100000])
    finally:
        subprocess.run(["umount", "-l", disk], capture_output=True)


def test_file_size_limit():
    """Files that may not grow past 8 MB: like a full disk, for machines where none can be made."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    with Server(preexec=limit) as server:
        root = server.root()
        root.run("CREATE NAMESPACE f; CREATE SHARED TABLE f.t (id INT PRIMARY KEY, v TEXT)")
        acknowledged, refusal = insert_until_refused(root, "f.t")
        assert refusal.status in (400, 500, 503) and refusal.code, refusal
        check_kept(root, "f.t", acknowledged)
        server.preexec = None
        server.crash()
        check_kept(root, "f.t", acknowledged)
        root.run("INSERT INTO f.t VALUES (100000, 'fits again')")
