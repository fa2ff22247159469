"""Storages: where files lie, what becomes of them, and object stores that are slow, away or refuse."""

import json
import os
import threading
import time

import pytest
from kalam_testlib import Server, ServerConfig, wait_until
from kalam_testlib.http_client import flush
from kalam_testlib.s3 import S3Service


def files(directory):
    # What is removed meanwhile is passed over.
    return sorted(os.path.relpath(os.path.join(top, name), directory) for top, _, names in os.walk(directory) for name in names)


def test_files_lie_where_the_templates_say(server, root, alice, ns, tmp_path):
    root.run(
        f"CREATE STORAGE {ns} TYPE filesystem PATH '{tmp_path}/cold' "
        "SHARED_TABLES_TEMPLATE 'all/{namespace}/{tableName}/rows' "
        "USER_TABLES_TEMPLATE 'each/{namespace}/{tableName}/of/{userId}'"
    )
    root.run(f"CREATE SHARED TABLE {ns}.s (id INT PRIMARY KEY) WITH (STORAGE_ID = '{ns}')")
    root.run(f"CREATE USER TABLE {ns}.u (id INT PRIMARY KEY) WITH (STORAGE_ID = '{ns}')")
    root.run(f"INSERT INTO {ns}.s VALUES (1), (2); INSERT INTO {ns}.u VALUES (1)")
    alice.run(f"INSERT INTO {ns}.u VALUES (2)")
    flush(root, f"STORAGE FLUSH ALL IN {ns}")
    expected = [
        f"all/{ns}/s/rows/batch-0.parquet",
        f"all/{ns}/s/rows/manifest.json",
        f"each/{ns}/u/of/alice/batch-0.parquet",
        f"each/{ns}/u/of/alice/manifest.json",
        f"each/{ns}/u/of/root/batch-0.parquet",
        f"each/{ns}/u/of/root/manifest.json",
    ]
    assert files(tmp_path / "cold") == expected

    # Another template holds for what is written from then on.
    root.run(f"ALTER STORAGE {ns} SET SHARED_TABLES_TEMPLATE '{{namespace}}/{{tableName}}'")
    root.run(f"INSERT INTO {ns}.s VALUES (3)")
    root.flush(f"{ns}.s")
    assert f"{ns}/s/batch-1.parquet" in files(tmp_path / "cold") and f"{ns}/s/manifest.json" in files(tmp_path / "cold")
    assert f"all/{ns}/s/rows/manifest.json" not in files(tmp_path / "cold")

    # OPTIMIZE moves what lies in another storage than the table's.
    root.run(f"ALTER TABLE {ns}.u SET TBLPROPERTIES (STORAGE_ID = 'local'); OPTIMIZE TABLE {ns}.u")
    wait_until(lambda: not [name for name in files(tmp_path / "cold") if name.startswith("each/")], "the rows are moved")
    assert root.count(f"{ns}.u") == alice.count(f"{ns}.u") == 1
    assert root.count(f"{ns}.s") == 3
    server.restart()
    with server.root() as again:
        assert again.count(f"{ns}.s") == 3 and again.count(f"{ns}.u") == 1
        again.run(f"DROP TABLE {ns}.s; DROP TABLE {ns}.u")
        wait_until(lambda: not files(tmp_path / "cold"), "the files are removed")
        wait_until(lambda: again.sql(f"DROP STORAGE {ns}").ok, "nothing is left in the storage")


def test_users_have_storages_of_their_own(server, root, alice, bob, ns, tmp_path):
    root.run(f"CREATE STORAGE {ns} TYPE filesystem PATH '{tmp_path}/alice'; ALTER USER alice SET STORAGE '{ns}'")
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY) WITH (USE_USER_STORAGE = true)")
    alice.run(f"INSERT INTO {ns}.t VALUES (1)")
    bob.run(f"INSERT INTO {ns}.t VALUES (2)")
    root.flush(f"{ns}.t")
    assert files(tmp_path / "alice") == [f"{ns}/t/alice/batch-0.parquet", f"{ns}/t/alice/manifest.json"]
    assert files(server.data_path / "storage" / ns) == ["t/bob/batch-0.parquet", "t/bob/manifest.json"]
    root.fails(f"DROP STORAGE {ns}", r"1 user\(s\) still using it")
    root.run("ALTER USER alice SET STORAGE ''")
    root.fails(f"DROP STORAGE {ns}", r"rows of 1 table\(s\) or users still lie in it")
    alice.run(f"INSERT INTO {ns}.t VALUES (3)")
    root.flush(f"{ns}.t")
    assert alice.rows(f"SELECT id FROM {ns}.t ORDER BY id") == [[1], [3]]
    assert "t/alice/batch-1.parquet" in files(server.data_path / "storage" / ns)


def test_users_share_files_and_nothing_else(server, root, alice, bob, ns, tmp_path):
    root.run(
        f"CREATE STORAGE {ns} TYPE filesystem PATH '{tmp_path}/cold' "
        "USER_TABLES_TEMPLATE '{namespace}/{tableName}/{shard}'"
    )
    root.run(f"CREATE USER TABLE {ns}.t (id INT PRIMARY KEY, v TEXT, n INT) WITH (STORAGE_ID = '{ns}')")
    clients = {"root": root, "alice": alice, "bob": bob}
    expected = {}
    for name, client in clients.items():
        client.run(f"INSERT INTO {ns}.t SELECT i, '{name}' || i, i FROM GENERATE_SERIES(1, 30) AS x(i)")
        expected[name] = {i: f"{name}{i}" for i in range(1, 31)}
    root.flush(f"{ns}.t")
    written = [name for name in files(tmp_path / "cold") if name.endswith(".parquet")]
    assert {name.rsplit("/", 1)[0] for name in written} <= {f"{ns}/t/{shard}" for shard in range(8)}

    def check():
        for name, client in clients.items():
            rows = dict(client.rows(f"SELECT id, v FROM {ns}.t ORDER BY id"))
            assert rows == expected[name], name
            assert client.count(f"{ns}.t") == len(rows)
            assert client.rows(f"SELECT v FROM {ns}.t WHERE id = 7") == [[rows[7]]]
            assert client.rows(f"SELECT COUNT(*) FROM {ns}.t WHERE v NOT LIKE '{name}%'") == [["0"]]
            assert client.rows(f"SELECT MAX(n), MIN(_seq) > 0 FROM {ns}.t") == [[max(rows), True]]

    check()
    for round_number, (name, client) in enumerate(clients.items()):
        client.run(f"UPDATE {ns}.t SET v = '{name}!' WHERE id = 3; DELETE FROM {ns}.t WHERE id = {10 + round_number}")
        client.fails(f"INSERT INTO {ns}.t VALUES (4, 'twice', 0)", "already exists|Duplicate|duplicate")
        client.run(f"INSERT INTO {ns}.t VALUES (40, '{name}40', 40)")
        expected[name] |= {3: f"{name}!", 40: f"{name}40"}
        del expected[name][10 + round_number]
    check()
    root.flush(f"{ns}.t")
    root.run(f"ALTER TABLE {ns}.t ADD COLUMN later INT DEFAULT 5")
    check()
    root.job(f"OPTIMIZE TABLE {ns}.t")
    check()
    assert alice.rows(f"SELECT DISTINCT later FROM {ns}.t") == [[5]]
    alice.job(f"VACUUM {ns}.t", root=root)
    root.job(f"ANALYZE TABLE {ns}.t")
    check()
    assert alice.rows(f"SELECT id FROM {ns}.t WHERE _deleted = true") == [[11]]

    # What the table was made with stays, wherever its files go.
    root.run(f"ALTER STORAGE {ns} SET USER_TABLES_TEMPLATE '{{namespace}}/{{tableName}}/{{userId}}'")
    bob.run(f"INSERT INTO {ns}.t VALUES (50, 'bob50', 50, 0)")
    expected["bob"][50] = "bob50"
    root.flush(f"{ns}.t")
    assert any(f"/shard-{shard}/" in name for name in files(tmp_path / "cold") for shard in range(8))
    check()
    server.restart()
    clients = {name: server.login(name) if name != "root" else server.root() for name in clients}
    try:
        check()
        clients["root"].run(f"DROP TABLE {ns}.t")
        wait_until(lambda: not files(tmp_path / "cold"), "the files are removed")
    finally:
        for client in clients.values():
            client.close()


def test_one_users_rows_among_many_row_groups(tmp_path):
    template = "{namespace}/{tableName}/{shard}"
    with Server(ServerConfig(storage={"user_shards": 1, "user_tables_template": template})) as server:
        names = ["ann", "bea", "cat", "dan"]
        with server.root() as root:
            root.run("CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY, v INT, w TEXT)")
            clients = {name: server.user(name) for name in names}
            rows = {"ann": 3, "bea": 20_000, "cat": 1, "dan": 9_000}
            for number, (name, client) in enumerate(clients.items()):
                client.run(
                    f"INSERT INTO app.t SELECT i, i * 10 + {number}, '{name}' FROM GENERATE_SERIES(1, {rows[name]}) AS x(i)"
                )
            root.flush("app.t")
            assert files(server.data_path / "storage") == ["app/t/0/batch-0.parquet", "app/t/0/manifest.json"]
            for round_number in range(2):
                for number, (name, client) in enumerate(clients.items()):
                    gone = rows[name] // 7 * round_number
                    left = rows[name] - gone
                    assert client.rows("SELECT COUNT(*), COUNT(DISTINCT id), MIN(w), MAX(w) FROM app.t") == [
                        [str(left), str(left), name, name]
                    ]
                    assert client.count("app.t") == left
                    last = rows[name] - (1 if rows[name] % 7 == 0 and round_number else 0)
                    assert client.rows("SELECT id, v FROM app.t ORDER BY v DESC LIMIT 1") == [[last, last * 10 + number]]
                    for key in (1, 8_191, 8_192, 8_193, 20_000):
                        is_there = key <= rows[name] and (key % 7 != 0 or round_number == 0)
                        found = client.rows("SELECT v FROM app.t WHERE id = $1", [key])
                        assert found == ([[key * 10 + number]] if is_there else []), (name, key)
                    client.run("DELETE FROM app.t WHERE id % 7 = 0")
            plan = clients["cat"].rows("EXPLAIN SELECT * FROM app.t")
            assert "ann" not in str(plan)
            for client in clients.values():
                client.close()


def test_what_users_who_share_files_cannot_have(root, ns, tmp_path):
    root.run(
        f"CREATE STORAGE {ns} TYPE filesystem PATH '{tmp_path}/cold' "
        "USER_TABLES_TEMPLATE '{namespace}/{tableName}/{shard}'"
    )
    for clause in (
        f"(id INT PRIMARY KEY) WITH (STORAGE_ID = '{ns}', USE_USER_STORAGE = true)",
        f"(a TEXT, b INT, PRIMARY KEY (a, b)) PARTITION BY (a) WITH (STORAGE_ID = '{ns}')",
    ):
        root.fails(f"CREATE USER TABLE {ns}.t {clause}", r"needs a storage whose template for USER tables has \{userId\}")


ACCESS_KEY = "kalamdb-test"
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def s3():
    with S3Service() as service:
        service.gateway.credentials[ACCESS_KEY] = (SECRET, None)
        yield service


def credentials(secret=SECRET):
    return json.dumps({"access_key_id": ACCESS_KEY, "secret_access_key": secret})


def create_storage(s3, name):
    template = f"SHARED_TABLES_TEMPLATE '{name}/{{namespace}}/{{tableName}}'"
    return s3.create_storage(name, access_key=ACCESS_KEY, secret_key=SECRET, options=template)


def s3_config(cache_bytes=1 << 20, **sections):
    sections.setdefault("compaction", {"max_small_segments": 0})  # files are what statements make of them
    return ServerConfig(storage={"allow_private_endpoints": True, "s3_cache_bytes": cache_bytes}, **sections)


def prepare(root, s3, rows=3000):
    """A table `app.t` of which `rows` rows lie in the bucket and one, -1, is hot."""
    root.run("CREATE NAMESPACE app")
    root.run(create_storage(s3, "bucket"))
    root.run("CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v TEXT) WITH (STORAGE_ID = 'bucket')")
    root.run(f"INSERT INTO app.t SELECT i, 'v' || i FROM GENERATE_SERIES(1, {rows}) AS s(i)")
    root.flush("app.t")
    root.run("INSERT INTO app.t VALUES (-1, 'hot')")


def test_a_table_in_a_bucket(s3):
    with Server(s3_config()) as server:
        root = server.root()
        prepare(root, s3)
        assert root.value("SELECT COUNT(*) FROM app.t") == "3001"
        assert root.rows("SELECT v FROM app.t WHERE id IN (1, 2999) ORDER BY id") == [["v1"], ["v2999"]]
        root.fails("INSERT INTO app.t VALUES (77, 'again')", "Primary key violation: value '77' already exists")
        root.run("UPDATE app.t SET v = 'changed' WHERE id <= 10; DELETE FROM app.t WHERE id > 2000")
        root.flush("app.t")
        server.restart()
        root = server.root()
        counts = "SELECT COUNT(*), COUNT(*) FILTER (WHERE v = 'changed') FROM app.t"
        assert root.rows(counts) == [["2001", "11"]]
        assert root.dicts("STORAGE CHECK bucket")[0]["status"] == "healthy"
        names = [f"bucket/app/t/{name}" for name in ("batch-0.parquet", "batch-1.parquet", "manifest.json")]
        assert s3.objects("bucket/app/") == names
        root.run("DROP TABLE app.t")
        wait_until(lambda: not s3.objects("bucket/app/"), "the objects are removed")
        wait_until(lambda: root.sql("DROP STORAGE bucket").ok, "nothing is left in the storage")


def test_hot_rows_do_not_wait_for_a_service_that_is_away(s3):
    with Server(s3_config(cache_bytes=0)) as server:
        root = server.root()
        prepare(root, s3)
        s3.gateway.go_away()
        try:
            began = time.monotonic()
            root.run("INSERT INTO app.t VALUES (-2, 'more'); UPDATE app.t SET v = 'x' WHERE id = -1")
            assert root.rows("SELECT v FROM app.t WHERE id = -1") == [["x"]]
            root.run("CREATE SHARED TABLE app.other (id INT PRIMARY KEY); INSERT INTO app.other VALUES (1)")
            assert time.monotonic() - began < 10
            root.fails("SELECT MAX(v) FROM app.t", "Rows that lie in storage 'bucket' cannot be read now", status=503)
            assert root.dicts("STORAGE CHECK bucket")[0]["status"] == "unreachable"
        finally:
            s3.gateway.come_back()
        assert root.value("SELECT COUNT(v) FROM app.t") == "3002"
        root.flush("app.t")
        assert root.value("SELECT COUNT(v) FROM app.t") == "3002"
        root.run("DROP TABLE app.t")
        wait_until(lambda: not s3.objects("bucket/"), "the objects are removed")


def test_a_flush_goes_through_what_passes(s3):
    with Server(s3_config()) as server:
        root = server.root()
        prepare(root, s3)
        slow_down = {"kind": "status", "status": 503, "code": "SlowDown"}
        s3.gateway.fail(slow_down, {"kind": "refuse"}, slow_down, {"kind": "lost_answer"})
        root.flush("app.t")
        s3.gateway.fail({"kind": "cut", "after": 100}, slow_down)
        assert root.value("SELECT COUNT(v) FROM app.t") == "3001"
        root.run("DROP TABLE app.t")
        wait_until(lambda: not s3.objects("bucket/"), "the objects are removed")


def test_what_a_bucket_refuses_is_not_kept_on_the_disk(s3):
    with Server(s3_config(jobs={"max_retries": 0})) as server:
        root = server.root()
        prepare(root, s3)
        # The flush looks whether the object is there, then puts it.
        s3.gateway.fail({"kind": "pass"}, {"kind": "status", "status": 403, "code": "AccessDenied"})
        root.run("STORAGE FLUSH TABLE app.t")
        failed = "WHERE job_type = 'flush' AND status = 'failed'"
        wait_until(lambda: root.count("system.jobs", failed) == 1, "the flush fails")
        assert files(server.data_path / "s3" / "staging") == []
        root.flush("app.t")
        assert root.value("SELECT COUNT(v) FROM app.t") == "3001"
        root.run("DROP TABLE app.t")
        wait_until(lambda: not s3.objects("bucket/"), "the objects are removed")


def test_what_another_server_writes_in_a_bucket_is_noticed(s3):
    with Server(s3_config()) as server:
        root = server.root()
        prepare(root, s3)
        manifest = "bucket/app/t/manifest.json"
        segments = lambda: len(json.loads(s3.request("GET", manifest))["segments"])
        told = lambda: "".join(server.stderr).count("it was changed meanwhile, by another server")
        root.flush("app.t")
        assert segments() == 2
        server.restart()
        root = server.root()
        root.run("INSERT INTO app.t VALUES (-2, 'more')")
        root.flush("app.t")
        assert segments() == 3 and told() == 0

        s3.request("PUT", manifest, json.dumps({"segments": []}))
        root.run("INSERT INTO app.t VALUES (-3, 'more')")
        root.flush("app.t")
        wait_until(lambda: told() == 1, "the log tells of the other server")
        assert segments() == 4, "what is there is replaced once it has been told of"
        root.run("INSERT INTO app.t VALUES (-4, 'more')")
        root.flush("app.t")
        assert segments() == 5 and told() == 1
        assert root.value("SELECT COUNT(v) FROM app.t") == "3004"

        # A service without conditions is written to all the same.
        s3.gateway.knows_conditions = False
        try:
            root.run("INSERT INTO app.t VALUES (-5, 'more')")
            root.flush("app.t")
            assert segments() == 6
        finally:
            s3.gateway.knows_conditions = True
        root.run("DROP TABLE app.t")
        wait_until(lambda: not s3.objects("bucket/"), "the objects are removed")


def test_secrets_are_nowhere(s3):
    with Server(s3_config()) as server:
        root = server.root()
        prepare(root, s3)
        for statement in ("SELECT * FROM system.storages", "SHOW STORAGES", "STORAGE CHECK bucket EXTENDED"):
            assert SECRET not in root.sql(statement).text
        assert root.value("SELECT CAST(credentials AS TEXT) FROM system.storages WHERE storage_id = 'bucket'") == '"***"'
        wrong = "CREATE STORAGE again TYPE s3 BUCKET 'b' CREDENTIALS '" + credentials() + "' CONFIG '{\"x\": 1}'"
        assert SECRET not in root.sql(wrong).text
        response = root.sql(f"ALTER STORAGE bucket SET CREDENTIALS '{credentials('not-the-secret-at-all')}'")
        assert not response.ok and "not-the-secret" not in response.text
        root.run(f"ALTER STORAGE bucket SET CREDENTIALS '{credentials()}'")
        server.kill()
        for path in server.data_path.rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), f"{path} has the secret"
        assert (server.data_path / "credentials.key").stat().st_mode & 0o777 == 0o600
        server.start()
        root = server.root()
        assert root.value("SELECT COUNT(v) FROM app.t") == "3001"
        server.stop()

        # Without the key the credentials are lost, and only they.
        (server.data_path / "credentials.key").unlink()
        server.start()
        root = server.root()
        assert root.rows("SELECT v FROM app.t WHERE id = -1") == [["hot"]]
        assert "cannot be read now" in root.sql("SELECT COUNT(v) FROM app.t").message
        root.run(f"ALTER STORAGE bucket SET CREDENTIALS '{credentials()}'")
        assert root.value("SELECT COUNT(v) FROM app.t") == "3001"
        root.run("DROP TABLE app.t")
        wait_until(lambda: not s3.objects("bucket/"), "the objects are removed")


def test_endpoints_on_this_machine_need_leave(s3):
    with Server(ServerConfig()) as server:
        root = server.root()
        response = root.sql(create_storage(s3, "bucket"))
        assert not response.ok and "private" in response.message
        for endpoint in ("file:///etc/passwd", "http://169.254.169.254/latest", "ftp://example.com"):
            config = json.dumps({"endpoint": endpoint})
            statement = f"CREATE STORAGE x TYPE s3 BUCKET 'bbb' CREDENTIALS '{credentials()}' CONFIG '{config}'"
            assert not root.sql(statement).ok


def test_many_readers_of_a_slow_service_leave_others_alone(s3):
    """Statements that wait for cold rows must not take all the threads that other statements need."""
    with Server(s3_config(cache_bytes=0)) as server:
        root = server.root()
        prepare(root, s3)
        s3.gateway.take_seen()
        s3.gateway.fail(*[{"kind": "hang"}] * 1000)
        answers = []
        clients = [server.root() for _ in range(40)]
        threads = [
            threading.Thread(target=lambda c=client: answers.append(c.sql("SELECT MAX(v) FROM app.t")))
            for client in clients
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: s3.gateway.seen, "readers wait for the service")
        began = time.monotonic()
        for i in range(20):
            root.run("INSERT INTO app.t VALUES ($1, 'during')", [-100 - i])
            assert root.rows("SELECT v FROM app.t WHERE id = $1", [-100 - i]) == [["during"]]
            assert root.count("system.namespaces") > 0
        assert time.monotonic() - began < 15
        s3.gateway.faults.clear()
        s3.gateway.go_away()  # ends those that hang
        s3.gateway.come_back()
        for thread in threads:
            thread.join()
        assert {answer.status for answer in answers} <= {200, 503}
        assert root.value("SELECT MAX(v) FROM app.t") == "v999"
