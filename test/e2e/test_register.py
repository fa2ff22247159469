"""REGISTER and UNREGISTER TABLE: a table leaves its folder with all that is in it, and comes back from it here, on
another server, from a bucket and after kill -9; folders of plain Parquet files become tables; what is damaged or in the
way changes nothing."""

import pathlib
import random
import shutil
import time

import pytest
from kalam_testlib import Server, ServerConfig, wait_until
from kalam_testlib.http_client import wait_for_failure, wait_for_job
from kalam_testlib.parquet import write_parquet
from kalam_testlib.s3 import S3Service
from kalam_testlib.server import files_of

STILL = {"compaction": {"max_small_segments": 0}}


@pytest.fixture(scope="module")
def server():
    """One whose files are what statements make of them."""
    with Server(ServerConfig(**STILL)) as running:
        yield running
        assert running.is_alive(), "the server died:\n" + "".join(running.stderr)[-4000:]


def started(root, statement):
    """Starts a job, as soon as another one for the same table has ended, and returns its id."""

    def accepted():
        response = root.sql(statement)
        if not response.ok and "Idempotent conflict" in response.message:
            return None
        assert response.ok, response
        return response.results[0]["message"].rsplit("Job ID: ", 1)[1]

    return wait_until(accepted, statement)


def registered(root, statement):
    return wait_for_job(root, started(root, statement))


def job_error(root, statement):
    """Runs a statement that starts a job, waits until that has failed, and returns why."""
    return wait_for_failure(root, started(root, statement))


def make_shared(root, table, options=""):
    """Rows hot and cold, changed and deleted, by older and newer schemas."""
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, v TEXT DEFAULT 'none', gone INT) {options}")
    root.run(f"INSERT INTO {table} SELECT i, 'v' || i, i FROM GENERATE_SERIES(1, 500) AS x(i)")
    root.flush(table)
    root.run(f"ALTER TABLE {table} ADD COLUMN more INT DEFAULT 7; ALTER TABLE {table} DROP COLUMN gone")
    root.run(f"INSERT INTO {table} SELECT i, 'w' || i, 8 FROM GENERATE_SERIES(501, 700) AS x(i)")
    root.run(f"UPDATE {table} SET v = 'changed' WHERE id % 7 = 0; DELETE FROM {table} WHERE id % 5 = 0")


def shared_contents(root, table):
    return {
        "rows": root.rows(f"SELECT id, v, more, _seq FROM {table} ORDER BY id"),
        "deleted": root.rows(f"SELECT id, _seq FROM {table} WHERE _deleted = true ORDER BY id"),
        "history": [row[:4] for row in root.rows(f"DESCRIBE TABLE {table} HISTORY")],
        "columns": root.rows(f"DESCRIBE TABLE {table}"),
    }


def make_user(clients, root, table, options=""):
    root.run(f"CREATE USER TABLE {table} (id INT PRIMARY KEY, v TEXT) {options}")
    for client in clients:
        client.run(f"INSERT INTO {table} SELECT i, CURRENT_USER() || i FROM GENERATE_SERIES(1, 40) AS x(i)")
    root.flush(table)
    for number, client in enumerate(clients):
        client.run(f"DELETE FROM {table} WHERE id > {30 + number}; UPDATE {table} SET v = 'changed' WHERE id = 3")
        client.run(f"INSERT INTO {table} VALUES ({100 + number}, 'hot')")


def user_contents(clients, table):
    return [
        client.rows(f"SELECT id, v, _seq FROM {table} {where} ORDER BY id")
        for client in clients
        for where in ("", "WHERE _deleted = true")
    ]


def unregister(root, table):
    """Returns the storage and the folder that the statement names."""
    message = root.result(f"UNREGISTER TABLE {table}")["message"]
    root.fails(f"SELECT * FROM {table}", "does not exist|not found")
    wait_for_job(root, message.rsplit("Job ID: ", 1)[1])
    words = message.split("'")
    return words[1], words[3]


def use(root, table):
    """What came back is a table like any other."""
    root.fails(f"INSERT INTO {table} (id) VALUES (1)", "(?i)already exists|primary key")
    root.run(f"INSERT INTO {table} (id, v) VALUES (5, 'back again'); UPDATE {table} SET v = 'x' WHERE id = 1")
    assert root.rows(f"SELECT id, v FROM {table} WHERE id IN (1, 5) ORDER BY id") == [[1, "x"], [5, "back again"]]
    root.flush(table)
    root.job(f"OPTIMIZE TABLE {table}")
    root.job(f"VACUUM {table}")
    assert root.rows(f"SELECT id, v FROM {table} WHERE id IN (1, 5) ORDER BY id") == [[1, "x"], [5, "back again"]]


def test_a_shared_table_goes_and_comes_back(server, root, ns):
    make_shared(root, f"{ns}.t")
    before = shared_contents(root, f"{ns}.t")
    assert len(before["deleted"]) == 140
    storage, folder = unregister(root, f"{ns}.t")
    assert (storage, folder) == ("local", f"{ns}/t")
    directory = server.data_path / "storage" / folder
    left = files_of(directory)
    assert {"unregistered.json", "table.cbor", "tombstones.parquet"} < set(left)
    server.restart()  # Which removes what no table's manifest names: nothing of this is among it.
    assert files_of(directory) == left
    assert root.count("system.tables", f"WHERE namespace_id = '{ns}'") == 0

    # One of the same name meanwhile.
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY); INSERT INTO {ns}.t VALUES (1)")
    root.flush(f"{ns}.t")
    root.job(f"VACUUM {ns}.t")
    assert files_of(directory) == left
    root.fails(f"REGISTER TABLE {ns}.t FROM '{folder}'", "already exists")

    done = registered(root, f"REGISTER TABLE {ns}.again FROM '{folder}'")
    assert done["message"].startswith(f"Registered {ns}.again from '{folder}' - 560 rows, ") and done["rows"] == 560
    assert shared_contents(root, f"{ns}.again") == before
    assert "unregistered.json" not in files_of(directory) and "table.cbor" not in files_of(directory)
    root.fails(f"REGISTER TABLE {ns}.third FROM '{folder}'", f"files of {ns}.again lie there")
    root.fails(f"REGISTER TABLE {ns}.third FROM '{ns}'", "lie there")
    server.restart()
    assert shared_contents(root, f"{ns}.again") == before
    assert root.rows(f"SELECT id FROM {ns}.t") == [[1]]
    use(root, f"{ns}.again")

    # Once more, and then for good.
    before = shared_contents(root, f"{ns}.again")
    storage, folder = unregister(root, f"{ns}.again")
    assert folder == f"{ns}/t"
    root.run(f"DROP TABLE {ns}.t")
    registered(root, f"REGISTER TABLE {ns}.t FROM STORAGE {storage} '{folder}/'")
    assert shared_contents(root, f"{ns}.t") == before
    root.run(f"DROP TABLE {ns}.t")
    wait_until(lambda: not directory.exists(), "the end of the folder")


@pytest.mark.parametrize("template", ["{namespace}/{tableName}/{userId}", "{namespace}/{tableName}/{shard}"])
def test_a_user_table_goes_and_comes_back(server, root, alice, bob, ns, template, tmp_path):
    root.run(f"CREATE STORAGE {ns} TYPE filesystem PATH '{tmp_path}/cold' USER_TABLES_TEMPLATE '{template}'")
    clients = (root, alice, bob)
    make_user(clients, root, f"{ns}.u", f"WITH (STORAGE_ID = '{ns}')")
    before = user_contents(clients, f"{ns}.u")
    assert [len(rows) for rows in before] == [31, 10, 32, 9, 33, 8]
    storage, folder = unregister(root, f"{ns}.u")
    assert storage == ns
    server.restart()
    registered(root, f"REGISTER TABLE {ns}.again FROM STORAGE {ns} '{folder}'")
    assert user_contents(clients, f"{ns}.again") == before
    server.restart()
    assert user_contents(clients, f"{ns}.again") == before
    alice.run(f"INSERT INTO {ns}.again VALUES (200, 'new'); DELETE FROM {ns}.again WHERE id = 1")
    root.flush(f"{ns}.again")
    root.job(f"OPTIMIZE TABLE {ns}.again")
    assert [row[0] for row in alice.rows(f"SELECT id FROM {ns}.again ORDER BY id")] == [*range(2, 32), 101, 200]
    assert user_contents((bob,), f"{ns}.again") == before[4:]
    # New files lie where the others do.
    assert {name.split("/")[0] for name in files_of(tmp_path / "cold")} == {folder.split("/")[0]}


def test_files_in_several_storages_come_together(server, root, alice, ns, tmp_path):
    for name in ("one", "two"):
        root.run(f"CREATE STORAGE {ns}_{name} TYPE filesystem PATH '{tmp_path}/{name}'")
    make_shared(root, f"{ns}.t", f"WITH (STORAGE_ID = '{ns}_one')")
    root.run(f"ALTER TABLE {ns}.t SET TBLPROPERTIES (STORAGE_ID = '{ns}_two')")
    root.flush(f"{ns}.t")
    before = shared_contents(root, f"{ns}.t")
    assert files_of(tmp_path / "one") and files_of(tmp_path / "two")
    storage, folder = unregister(root, f"{ns}.t")
    assert storage == f"{ns}_two"
    wait_until(lambda: not files_of(tmp_path / "one"), "the end of the other folder")
    root.run(f"DROP STORAGE {ns}_one")
    registered(root, f"REGISTER TABLE {ns}.t FROM STORAGE {ns}_two '{folder}'")
    assert shared_contents(root, f"{ns}.t") == before


def test_tables_that_are_empty_or_only_hot(server, root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.e (id INT PRIMARY KEY); CREATE USER TABLE {ns}.u (id INT PRIMARY KEY)")
    root.run(f"CREATE SHARED TABLE {ns}.h (v TEXT); INSERT INTO {ns}.h VALUES ('a'), ('b')")
    hot = root.rows(f"SELECT v, _seq FROM {ns}.h ORDER BY v")
    for name in ("e", "u", "h"):
        _, folder = unregister(root, f"{ns}.{name}")
        registered(root, f"REGISTER TABLE {ns}.{name} FROM '{folder}'")
    assert root.count(f"{ns}.e") == 0 and root.count(f"{ns}.u") == 0
    assert root.rows(f"SELECT v, _seq FROM {ns}.h ORDER BY v") == hot
    root.run(f"INSERT INTO {ns}.e VALUES (1); INSERT INTO {ns}.u VALUES (1); INSERT INTO {ns}.h VALUES ('c')")
    assert root.count(f"{ns}.e") == 1 and root.count(f"{ns}.u") == 1 and root.count(f"{ns}.h") == 3


def test_subscriptions_end(server, root, ws, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY); INSERT INTO {ns}.t VALUES (1)")
    ws.subscribe("s", f"SELECT * FROM {ns}.t").wait_ready()
    unregister(root, f"{ns}.t")
    ws.wait_error("s", "TABLE_DROPPED")


def test_deletions_that_were_forgotten_stay_so(server, root, ws, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY) WITH (DELETED_RETENTION_HOURS = 0)")
    root.run(f"INSERT INTO {ns}.t VALUES (1), (2)")
    cursor = int(root.value(f"SELECT MAX(_seq) FROM {ns}.t"))
    root.run(f"DELETE FROM {ns}.t WHERE id >= 1")
    assert root.job(f"VACUUM {ns}.t")["rows_deleted"] == 2
    _, folder = unregister(root, f"{ns}.t")
    registered(root, f"REGISTER TABLE {ns}.again FROM '{folder}'")
    ws.subscribe("old", f"SELECT * FROM {ns}.again", {"from": cursor})
    ws.wait_error("old", "CURSOR_TOO_OLD")


def test_from_one_server_to_another_on_a_shared_disk(tmp_path):
    """And back. Neither removes files of the other when it starts or runs VACUUM."""
    storage = f"CREATE STORAGE {{}} TYPE filesystem PATH '{tmp_path}/disk'"
    with Server(ServerConfig(**STILL)) as one, Server(ServerConfig(**STILL)) as two:
        roots = one.root(), two.root()
        for number, root in enumerate(roots):
            root.run(f"{storage.format(f'disk{number}')}; CREATE NAMESPACE app")
            # Both have this one, under the same name.
            root.run(f"CREATE SHARED TABLE app.own (id INT PRIMARY KEY) WITH (STORAGE_ID = 'disk{number}')")
            root.run(f"INSERT INTO app.own VALUES ({number})")
            root.flush("app.own")
        make_shared(roots[0], "app.t", "WITH (STORAGE_ID = 'disk0')")
        before = shared_contents(roots[0], "app.t")
        _, folder = unregister(roots[0], "app.t")
        two.restart()
        register = f"REGISTER TABLE app.moved FROM STORAGE disk1 '{folder}'"
        # A third one is in the middle of it.
        owner = tmp_path / "disk" / folder / "registered.json"
        owner.write_text('{"server": "0123456789abcdef"}')
        assert "Another server is registering" in job_error(roots[1], register)
        owner.unlink()
        done = registered(roots[1], register)
        assert "storage 'disk0' does not exist here, new files go to 'disk1'" in done["message"]
        assert shared_contents(roots[1], "app.moved") == before
        one.restart()
        use(roots[1], "app.moved")
        roots[0].job("VACUUM app.own")
        one.restart()
        two.restart()
        assert roots[1].count("app.moved") == 561
        for number, root in enumerate(roots):
            assert root.rows("SELECT id FROM app.own") == [[number]]
        before = shared_contents(roots[1], "app.moved")
        _, folder = unregister(roots[1], "app.moved")
        registered(roots[0], f"REGISTER TABLE app.t FROM STORAGE disk0 '{folder}'")
        assert shared_contents(roots[0], "app.t") == before
        last = roots[0].value("SELECT MAX(_seq) FROM app.t")
        roots[0].run("INSERT INTO app.t (id) VALUES (100000)")
        assert int(roots[0].value("SELECT MAX(_seq) FROM app.t")) > int(last)


def test_a_folder_outside_of_all_storages_is_copied(server, root, alice, ns, tmp_path):
    make_user((root, alice), root, f"{ns}.u")
    before = user_contents((root, alice), f"{ns}.u")
    _, folder = unregister(root, f"{ns}.u")
    shutil.move(server.data_path / "storage" / folder, tmp_path / "moved")
    left = files_of(tmp_path / "moved")
    for number in range(2):
        registered(root, f"REGISTER TABLE {ns}.copy{number} FROM '{tmp_path}/moved'")
        assert user_contents((root, alice), f"{ns}.copy{number}") == before
    assert files_of(tmp_path / "moved") == left
    root.run(f"DROP TABLE {ns}.copy0")
    server.restart()
    assert user_contents((root, alice), f"{ns}.copy1") == before
    root.fails(f"REGISTER TABLE {ns}.x FROM '{server.data_path}/storage/{ns}'", "lies in|only what is below")
    root.fails(f"REGISTER TABLE {ns}.x FROM '/etc/ssl'", "'/etc/ssl' can't hold a table to register: it lies in /etc")


def test_over_a_bucket():
    config = ServerConfig(**STILL, storage={"allow_private_endpoints": True}, jobs={"max_retries": 0})
    with S3Service() as s3:
        with Server(config) as server:
            root = server.root()
            root.run(s3.create_storage("bucket") + "; CREATE NAMESPACE one")
            make_shared(root, "one.t", "WITH (STORAGE_ID = 'bucket')")
            before = shared_contents(root, "one.t")
            # While the service is away the job fails, and the table waits for the statement to be run again.
            s3.gateway.go_away()
            job_error(root, "UNREGISTER TABLE one.t")
            root.fails("SELECT * FROM one.t", "does not exist|not found")
            server.restart()
            s3.gateway.come_back()
            assert unregister(root, "one.t") == ("bucket", "one/t")
            root.fails("UNREGISTER TABLE one.t", "not found")
            root.run("CREATE SHARED TABLE one.t (id INT PRIMARY KEY) WITH (STORAGE_ID = 'bucket')")
            root.run("INSERT INTO one.t VALUES (1)")
            root.flush("one.t")
            root.job("VACUUM one.t")
            s3.gateway.go_away()
            root.fails("REGISTER TABLE one.u FROM STORAGE bucket 'one/t'", status=503)
            s3.gateway.come_back()
        with Server(config) as server:
            root = server.root()
            root.run(s3.create_storage("same") + "; CREATE NAMESPACE two")
            done = registered(root, "REGISTER TABLE two.t FROM STORAGE same 'one/t'")
            assert "storage 'bucket' does not exist here" in done["message"]
            assert shared_contents(root, "two.t") == before
            names = s3.objects("one/t/")
            assert "one/t/manifest.json" in names and "one/t/unregistered.json" not in names
            use(root, "two.t")
            # Plain files in a bucket.
            root.run("CREATE SHARED TABLE two.plain (id INT PRIMARY KEY, v TEXT) WITH (STORAGE_ID = 'same')")
            root.run("INSERT INTO two.plain VALUES (1, 'a'), (2, 'b')")
            root.flush("two.plain")
            bucket = pathlib.Path(s3.directory) / s3.bucket
            shutil.copytree(bucket / "two/plain", bucket / "in")
            assert registered(root, "REGISTER TABLE two.copy FROM STORAGE same 'in'")["rows"] == 2
            assert root.rows("SELECT id, v FROM two.copy ORDER BY id") == [[1, "a"], [2, "b"]]
            assert not list((server.data_path / "tmp").glob("register-*"))


def test_the_statement_says_what_is_refused(server, root, ns):
    root.run(f"CREATE STREAM TABLE {ns}.st (id INT PRIMARY KEY) WITH (TTL_SECONDS = 600)")
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY); CREATE VIEW {ns}.v AS SELECT id FROM {ns}.t")
    root.fails(f"UNREGISTER TABLE {ns}.st", "is a STREAM table")
    root.fails(f"UNREGISTER TABLE {ns}.v", "is a view")
    root.fails(f"UNREGISTER TABLE {ns}.missing", "not found")
    root.fails(f"REGISTER TABLE {ns}.x FROM 'nothing/here'", "has no Parquet files, and no unregistered.json")
    root.fails(f"REGISTER TABLE {ns}.x FROM STORAGE nowhere 'x'", "Storage 'nowhere' not found")
    root.fails(f"REGISTER TABLE {ns}_none.x FROM 'x'", "does not exist")
    root.fails(f"REGISTER TABLE {ns}.x FROM 'a/../b'", "can't name an object")
    root.job(f"BACKUP DATABASE {ns} TO STORAGE local '{ns}'")
    root.fails(f"REGISTER TABLE {ns}.x FROM '.backups/{ns}/{ns}/t'", "is part of a backup")
    _, folder = unregister(root, f"{ns}.t")
    error = job_error(root, f"REGISTER TABLE {ns}.x FROM '{folder}' PRIMARY KEY (id)")
    assert "leave the clause out" in error


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "tombstones", "listing", "future"])
def test_damage_changes_nothing(server, root, ns, damage):
    make_shared(root, f"{ns}.t")
    before = shared_contents(root, f"{ns}.t")
    _, folder = unregister(root, f"{ns}.t")
    directory = server.data_path / "storage" / folder
    left = {name: (directory / name).read_bytes() for name in files_of(directory)}
    segment = directory / "batch-0.parquet"
    register = f"REGISTER TABLE {ns}.again FROM '{folder}'"
    if damage in ("listing", "future"):
        listing = directory / "unregistered.json"
        listing.write_text(listing.read_text().replace('"seq": ', '"seq": 9'))
        root.fails(register, "unregistered.json in .* is damaged")
    else:
        if damage == "flip":
            segment.write_bytes(left["batch-0.parquet"][:-100] + b"\0" + left["batch-0.parquet"][-99:])
        elif damage == "cut":
            segment.write_bytes(left["batch-0.parquet"][:-1])
        elif damage == "missing":
            segment.unlink()
        else:
            (directory / "tombstones.parquet").write_bytes(left["tombstones.parquet"][1:])
        assert "is not what was written" in (error := job_error(root, register)) or "is missing" in error
    root.fails(f"SELECT * FROM {ns}.again", "not found|does not exist")
    for name, content in left.items():
        (directory / name).write_bytes(content)
    assert files_of(directory) == sorted(left)
    server.restart()
    assert files_of(directory) == sorted(left)
    registered(root, register)
    assert shared_contents(root, f"{ns}.again") == before


def test_kill_while_unregistering_and_registering():
    """The jobs go on at the next start, nothing is lost, and nothing is half there at any time."""
    with Server(ServerConfig(**STILL)) as server:
        root = server.root()
        root.run("CREATE NAMESPACE k; CREATE SHARED TABLE k.t (id INT PRIMARY KEY, v TEXT)")
        root.run("INSERT INTO k.t SELECT i, 'v' || i FROM GENERATE_SERIES(1, 60000) AS x(i)")
        root.flush("k.t")
        root.run("DELETE FROM k.t WHERE id % 3 = 0; UPDATE k.t SET v = 'new' WHERE id % 3 = 1 AND id < 30000")

        def seen():
            return root.rows("SELECT COUNT(*), SUM(id), MAX(_seq) FROM k.t") + [root.count("k.t", "WHERE _deleted = true")]

        before = seen()
        assert before[1] == 20000
        for number in range(5):
            chance = random.Random(number)
            message = root.result("UNREGISTER TABLE k.t")["message"]
            folder, job_id = message.split("'")[3], message.rsplit("Job ID: ", 1)[1]
            time.sleep(chance.random() / 5)  # A random moment is what is wanted here.
            server.crash()
            wait_for_job(root, job_id)
            assert root.count("system.tables", "WHERE namespace_id = 'k'") == 0
            job_id = started(root, f"REGISTER TABLE k.t FROM '{folder}'")
            time.sleep(chance.random() / 5)
            server.crash()
            if root.count("system.tables", "WHERE namespace_id = 'k'"):
                assert seen() == before
            wait_for_job(root, job_id)
            assert seen() == before
            assert not (server.data_path / "storage" / folder / "unregistered.json").exists()
        server.restart()
        assert seen() == before
        stored = [name for name in files_of(server.data_path / "storage") if name.endswith(".parquet")]
        assert {name.rsplit("/", 1)[0] for name in stored} == {folder}
        root.run("INSERT INTO k.t VALUES (3, 'back')")
        root.flush("k.t")
        root.job("OPTIMIZE TABLE k.t")
        assert root.count("k.t") == int(before[0][0]) + 1


# Folders of plain Parquet files.


def plain(server, ns):
    """A folder for such files in the storage `local`, and its path there."""
    return server.data_path / "storage" / "in" / ns, f"in/{ns}"


def test_plain_files_of_many_types(server, root, ns):
    directory, folder = plain(server, ns)
    write_parquet(
        directory / "a.parquet",
        "SELECT i::INTEGER AS id, 'text ' || i AS \"Name\", i::DECIMAL(9, 2) / 4 AS amount, i % 2 = 0 AS even, "
        "DATE '2024-01-01' + i::INTEGER AS day, TIMESTAMP '2024-01-01 00:00:00' + INTERVAL (i) HOUR AS at, "
        "i::UBIGINT + 9223372036854775807 AS huge, [i, i + 1] AS list, {'k': i} AS struct, uuid() AS u, "
        "'x'::BLOB AS bytes, i / 3 AS third FROM range(1, 1001) AS r(i)",
    )
    # By name, in another order, and without some.
    write_parquet(directory / "b.parquet", "SELECT 'more' AS \"Name\", i::BIGINT AS id FROM range(2000, 2010) AS r(i)")
    (directory / "readme.txt").write_text("not one of them")
    left = files_of(directory)
    done = registered(root, f"REGISTER TABLE {ns}.t FROM '{folder}'")
    assert done["message"] == f"Registered {ns}.t from '{folder}' - 1010 rows, 2 files"
    assert files_of(directory) == left
    types = {row["column_name"]: row["data_type"] for row in root.dicts(
        f"SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = '{ns}'")}
    assert types["id"] == "BIGINT" and types["name"] == "TEXT" and types["list"] == "TEXT", types
    assert types["huge"].startswith("DECIMAL") and types["day"] == "DATE" and types["u"] == "UUID", types
    assert root.rows(f"SELECT id, name, amount, even, day, huge, list, struct FROM {ns}.t WHERE id IN (2, 2003) ORDER BY id") == [
        ["2", "text 2", 0.5, True, 19725, "9223372036854775809", "[2,3]", '{"k":2}'],
        ["2003", "more", None, None, None, None, None, None],
    ]
    assert root.count(f"{ns}.t", "WHERE third > 300") == 99 + 1
    seqs = [int(row[0]) for row in root.rows(f"SELECT _seq FROM {ns}.t ORDER BY id")]
    assert seqs == sorted(set(seqs))
    root.fails(f"INSERT INTO {ns}.t (id) VALUES (7)", "(?i)already exists|primary key")
    root.run(f"INSERT INTO {ns}.t (id, name) VALUES (7000, 'new'); DELETE FROM {ns}.t WHERE id = 7")
    assert int(root.value(f"SELECT _seq FROM {ns}.t WHERE id = 7000")) > seqs[-1]
    root.flush(f"{ns}.t")
    root.job(f"OPTIMIZE TABLE {ns}.t")
    server.restart()
    assert root.count(f"{ns}.t") == 1010
    root.fails(f"REGISTER TABLE {ns}.t FROM '{folder}'", "already exists")


def test_keys_of_plain_files(server, root, ns):
    directory, folder = plain(server, ns)
    write_parquet(directory / "a.parquet", "SELECT i AS n, 'k' || (i % 5) AS k, NULL::INTEGER AS empty FROM range(10) AS r(i)")
    register = f"REGISTER TABLE {ns}.t FROM '{folder}'"
    error = job_error(root, register)
    assert "no column 'id'" in error and "PRIMARY KEY" in error and "n, k, empty" in error
    assert "PRIMARY KEY column 'other' does not exist; the columns are n, k, empty" in job_error(root, f"{register} PRIMARY KEY (other)")
    assert "Several rows have the PRIMARY KEY k0" in job_error(root, f"{register} PRIMARY KEY (k)")
    assert "Column 'empty' is NULL in a row" in job_error(root, f"{register} PRIMARY KEY (n, empty)")
    root.fails(f"SELECT * FROM {ns}.t", "not found|does not exist")
    assert not files_of(server.data_path / "storage" / ns)
    registered(root, f"{register} PRIMARY KEY (K, n)")
    assert root.rows(f"SELECT k, n FROM {ns}.t ORDER BY k, n LIMIT 3") == [["k0", "0"], ["k0", "5"], ["k1", "1"]]
    assert root.rows(f"SELECT n FROM {ns}.t WHERE k = 'k3' AND n = 8") == [["8"]]


def test_plain_files_that_are_no_table(server, root, ns):
    directory, folder = plain(server, ns)
    register = f"REGISTER TABLE {ns}.t FROM '{folder}'"
    write_parquet(directory / "a.parquet", "SELECT 1 AS id, 2 AS _version")
    assert "'_version' is reserved" in job_error(root, register)
    write_parquet(directory / "a.parquet", "SELECT 1 AS id, DATE '20000-01-01' AS d")
    assert "Column 'd'" in job_error(root, register)
    write_parquet(directory / "a.parquet", "SELECT i AS id, repeat('x', 1000) || hash(i) AS v FROM range(3000) AS r(i)")
    content = (directory / "a.parquet").read_bytes()
    chance = random.Random(5)
    for number in range(12):
        damaged = bytearray(content)
        if number < 4:
            damaged = damaged[: chance.randrange(len(content))]
        else:
            begin = len(content) - 600 if number < 8 else 0
            for _ in range(20):
                damaged[chance.randrange(begin, len(content))] = chance.randrange(256)
        (directory / "b.parquet").write_bytes(damaged)
        error = job_error(root, register)
        assert "b.parquet cannot be read as Parquet" in error or "PRIMARY KEY" in error or "together" in error, error
        assert "kalam:" not in error
    (directory / "b.parquet").unlink()
    assert registered(root, register)["rows"] == 3000


def test_segments_without_their_listing(server, root, ns):
    """A folder that a server has lost: what its manifest.json names is taken in, if that is all to know."""
    directory, folder = plain(server, ns)
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT); INSERT INTO {ns}.t SELECT i, 'v' || i FROM GENERATE_SERIES(1, 50) AS x(i)")
    root.flush(f"{ns}.t")
    shutil.copytree(server.data_path / "storage" / ns / "t", directory)
    shutil.copy(directory / "batch-0.parquet", directory / "batch-9.parquet")  # nothing names it
    assert registered(root, f"REGISTER TABLE {ns}.copy FROM '{folder}'")["rows"] == 50
    assert root.rows(f"SELECT id, v FROM {ns}.copy ORDER BY id") == root.rows(f"SELECT id, v FROM {ns}.t ORDER BY id")
    root.run(f"DELETE FROM {ns}.t WHERE id < 10; INSERT INTO {ns}.t VALUES (90, 'x')")
    root.flush(f"{ns}.t")
    shutil.copytree(server.data_path / "storage" / ns / "t", directory, dirs_exist_ok=True)
    root.fails(f"REGISTER TABLE {ns}.other FROM '{folder}'", f"rows of {ns}.t that are deleted")
    (directory / "manifest.json").write_text("{")
    root.fails(f"REGISTER TABLE {ns}.other FROM '{folder}'", "manifest.json in .* is damaged")
