"""EXPORT USER DATA: a zip of Parquet files with just the caller's live rows, which only they and administrators get."""

import io
import json
import zipfile

import pytest
from kalam_testlib import Server, ServerConfig, wait_until
from kalam_testlib.http_client import wait_for_job
from kalam_testlib.parquet import read_parquet


def export(client, root):
    """Starts an export, waits for its end; the job's message and the row of SHOW EXPORT."""
    job_id = client.result("EXPORT USER DATA")["message"].split("Job ID: ")[1].split(".")[0]
    assert job_id.startswith("UE-")
    wait_for_job(root, job_id)
    row = next(row for row in client.dicts("SHOW EXPORT") if row["job_id"] == job_id)
    return json.loads(row["message"]), row


def download(client, url):
    return client.request("GET", url[url.index("/v1/") :], headers=client.auth_headers())


@pytest.mark.parametrize("template", ["{namespace}/{tableName}/{userId}", "{namespace}/{tableName}/{shard}"])
def test_export(template, tmp_path):
    with Server(ServerConfig(storage={"user_tables_template": template})) as server:
        root, alice, bob = server.root(), server.user("alice"), server.user("bob")
        assert export(bob, root)[0]["message"] == "No user tables found to export"
        root.run("CREATE NAMESPACE x; CREATE USER TABLE x.notes (id INT PRIMARY KEY, body TEXT)")
        root.run("CREATE USER TABLE x.empty (id INT PRIMARY KEY); CREATE SHARED TABLE x.shared (id INT PRIMARY KEY)")
        root.run("INSERT INTO x.shared VALUES (1)")
        for client, name in ((alice, "alice"), (bob, "bob")):
            client.run(f"INSERT INTO x.notes SELECT i, '{name} ' || i FROM GENERATE_SERIES(1, 100) AS s(i)")
        root.flush("x.notes")
        alice.run("DELETE FROM x.notes WHERE id <= 10; UPDATE x.notes SET body = 'new' WHERE id = 11")
        alice.run("INSERT INTO x.notes VALUES (1000, 'hot')")

        message, row = export(alice, root)
        assert message["rows"] == 91 and message["parquet_files"] == 1 and row["status"] == "completed"
        response = download(alice, row["download_url"])
        assert response.status == 200 and response.headers["Content-Type"] == "application/zip"
        assert response.headers["Content-Disposition"].startswith("attachment")
        archive = zipfile.ZipFile(io.BytesIO(response.body))
        assert archive.testzip() is None and archive.namelist() == ["x/notes/batch-0.parquet"]
        archive.extractall(tmp_path)
        exported = read_parquet(tmp_path / "x/notes/batch-0.parquet", "SELECT id, body FROM {} ORDER BY id")
        assert exported == [["11", "new"], *([str(i), f"alice {i}"] for i in range(12, 101)), ["1000", "hot"]]

        assert download(root, row["download_url"]).status == 200
        refused = download(bob, row["download_url"])
        assert refused.status == 403 and "You can only download your own exports" in refused.text
        assert root.request("GET", "/v1/exports/alice/x").status == 401
        for path in ("alice", "alice/nothing", "alice/..%2f..%2fserver", "%00/%00", "alice/" + "x" * 3000):
            missing = root.request("GET", "/v1/exports/" + path, headers=root.auth_headers())
            assert missing.status == 404 and json.loads(missing.text)["code"] == "EXPORT_NOT_FOUND"
        assert bob.rows("SHOW EXPORT")[0][1] == "skipped" and bob.rows("SHOW EXPORT")[0][4] == ""


def test_an_odd_name():
    with Server() as server:
        root = server.root()
        odd = server.user('o d"d%41é')
        root.run("CREATE NAMESPACE x; CREATE USER TABLE x.t (id INT PRIMARY KEY)")
        odd.run("INSERT INTO x.t VALUES (1)")
        _, row = export(odd, root)
        response = download(odd, row["download_url"])
        assert response.status == 200 and zipfile.ZipFile(io.BytesIO(response.body)).namelist() == [
            "x/t/batch-0.parquet"
        ]


def test_archives_go_with_their_user_and_their_job():
    config = ServerConfig(jobs={"cleanup_interval_seconds": 1}, user_management={"deletion_grace_period_days": 0})
    with Server(config) as server:
        root, alice = server.root(), server.user("alice")
        root.run("CREATE NAMESPACE x; CREATE USER TABLE x.t (id INT PRIMARY KEY)")
        for client in (root, alice):
            client.run("INSERT INTO x.t VALUES (1)")
            export(client, root)
        exports = server.data_path / "exports"
        assert len(list(exports.iterdir())) == 2
        root.run("DROP USER alice")
        wait_until(lambda: root.count("system.users", "WHERE user_id = 'alice'") == 0, "the cleanup")
        assert len(list(exports.iterdir())) == 1
        assert download(root, root.dicts("SHOW EXPORT")[0]["download_url"]).status == 200
