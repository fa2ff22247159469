"""Background jobs as users see them: system.jobs, KILL JOB, retries, jobs.log; before and after a restart."""

import json
import os
import re

import pytest
from kalam_testlib import Server, ServerConfig, wait_until
from kalam_testlib.http_client import wait_for_job
from kalam_testlib.s3 import S3Service
from kalam_testlib.server import StartError

LIVE = ("new", "queued", "running", "retrying")


def job(root, job_id):
    return root.dicts("SELECT * FROM system.jobs WHERE job_id = $1", [job_id])[0]


class Blocked:
    """A table whose flush can't succeed, since a file lies where its directory is to be, until that is removed."""

    def __init__(self, root, ns, directory):
        self.table = f"{ns}.t"
        root.run(f"CREATE STORAGE {ns} TYPE filesystem PATH '{directory}'")
        root.run(f"CREATE SHARED TABLE {self.table} (id INT PRIMARY KEY) WITH (STORAGE_ID = '{ns}')")
        root.run(f"INSERT INTO {self.table} VALUES (1)")
        self.obstacle = directory / ns
        self.obstacle.write_text("in the way")

    def flush(self, client):
        return client.result(f"FLUSH TABLE {self.table}")["message"].rsplit("Job ID: ", 1)[1]

    def unblock(self):
        self.obstacle.unlink()


def config(tmp_path, **jobs):
    return ServerConfig(jobs={"retry_backoff_ms": 3_600_000, **jobs}, logging={"level": "warn", "logs_path": str(tmp_path / "logs")})


def test_a_job_that_fails_is_tried_again_and_tells_why(tmp_path):
    with Server(config(tmp_path, retry_backoff_ms=1, max_retries=2)) as server:
        root = server.root()
        root.run("CREATE NAMESPACE j")
        blocked = Blocked(root, "j", tmp_path / "cold")
        job_id = blocked.flush(root)
        wait_until(lambda: job(root, job_id)["status"] == "failed", "the flush fails")
        failed = job(root, job_id)
        assert failed["retry_count"] == 2 and failed["max_retries"] == 2
        assert failed["exception_trace"].count("attempt ") == 3 and failed["message"] in failed["exception_trace"]
        assert failed["queue"] == "flush" and failed["priority"] == 10 and failed["idempotency_key"] == "flush-j-t"
        assert int(failed["node_id"]) == 1
        times = [int(failed[name]) for name in ("created_at", "queued_at", "started_at", "finished_at")]
        assert times == sorted(times) and failed["updated_at"] == failed["finished_at"]
        node = root.dicts("SELECT * FROM system.job_nodes WHERE job_id = $1", [job_id])[0]
        assert node["status"] == "failed" and node["error_message"] == failed["message"]
        assert root.value("SELECT metric_value FROM system.stats WHERE metric_name = 'jobs_failed'") == "1"

        blocked.unblock()
        done = root.job(f"FLUSH TABLE {blocked.table}")  # the key is free again
        assert done["rows_flushed"] == 1
        assert root.count("system.jobs", "WHERE status = 'completed' AND exception_trace IS NULL") == 1

        lines = (tmp_path / "logs" / "jobs.log").read_text().splitlines()
        assert all(re.match(r"\[[A-Z]{2}-[0-9a-f]{12}\] \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in lines)
        told = [line.split("Z ", 1)[1] for line in lines if line.startswith(f"[{job_id}]")]
        assert [event.split(":")[0] for event in told] == [
            "queued", "started", "retry 1 of 2 in 1 ms", "retry 2 of 2 in 2 ms", "failed",
        ]


def test_what_waits_goes_on_after_a_restart(tmp_path):
    with Server(config(tmp_path)) as server:
        root = server.root()
        root.run("CREATE NAMESPACE j")
        blocked = Blocked(root, "j", tmp_path / "cold")
        job_id = blocked.flush(root)
        wait_until(lambda: job(root, job_id)["status"] == "retrying", "the flush is to be tried again")
        conflict = root.result(f"FLUSH TABLE {blocked.table}")["message"]
        assert conflict == "Storage flush skipped: a flush is already queued or running for table 'j.t'"
        blocked.unblock()
        for restart in (server.restart, server.crash):
            restart()
            root = server.root()
            assert wait_for_job(root, job_id)["rows_flushed"] == 1
        assert root.count("j.t") == 1


def test_kill(tmp_path):
    with Server(config(tmp_path)) as server:
        root = server.root()
        worker, other, alice = (server.user(name, role) for name, role in (("worker", "service"), ("other", "service"), ("alice", "user")))
        root.run("CREATE NAMESPACE j")
        blocked = Blocked(root, "j", tmp_path / "cold")
        own = blocked.flush(worker)
        wait_until(lambda: job(root, own)["status"] == "retrying", "the flush is to be tried again")
        for stranger in (other, alice):
            stranger.fails(f"KILL JOB '{own}'", "Admin privileges", status=403, code="PERMISSION_DENIED")
        assert job(root, own)["status"] == "retrying"
        assert worker.result(f"KILL JOB '{own}'")["message"] == f"Job '{own}' cancelled"
        killed = job(root, own)
        assert killed["status"] == "cancelled" and killed["message"] == "Cancelled by user" and killed["finished_at"]

        foreign = blocked.flush(worker)
        assert root.result(f"KILL JOB '{foreign}'")["message"].startswith(f"Job '{foreign}' ")
        wait_until(lambda: job(root, foreign)["status"] not in LIVE, "the flush is cancelled")
        assert job(root, foreign)["status"] == "cancelled"

        root.fails(f"KILL JOB '{own}'", "Cannot cancel job in status Cancelled")
        for client in (root, alice):
            client.fails("KILL JOB 'FL-000000000000'", "Job FL-000000000000 not found")
        root.fails("KILL JOB FL", "job id in quotes")
        blocked.unblock()
        assert root.job("FLUSH TABLE j.t")["rows_flushed"] == 1


@pytest.mark.parametrize("setting,value", [("max_concurrent", 2), ("retry_backoff_ms", 0), ("max_retries", -1)])
def test_settings_out_of_range_refuse_the_start(setting, value):
    with pytest.raises(StartError, match=f"jobs.{setting} is {value}; it must be from"):
        Server(ServerConfig(jobs={setting: value})).start()


def test_retention_of_3000_tombstones():
    """KALAM_TOMBSTONES: how many instead."""
    count = int(os.environ.get("KALAM_TOMBSTONES", "3000"))
    with Server(ServerConfig(retention={"check_interval_seconds": 1, "batch_size": 1000})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE r; CREATE SHARED TABLE r.t (id INT PRIMARY KEY) WITH (DELETED_RETENTION_HOURS = 0)")
        root.run(f"INSERT INTO r.t SELECT i FROM GENERATE_SERIES(1, {count + 500}) AS s(i)")
        root.flush("r.t")
        root.run(f"DELETE FROM r.t WHERE id <= {count}")
        wait_until(
            lambda: root.count("system.jobs", "WHERE job_type = 'retention' AND status = 'completed'"),
            "the retention",
            timeout_s=600,
        )
        assert root.count("r.t", "WHERE _deleted = true") == 0 and root.count("r.t") == 500
        done = root.dicts("SELECT * FROM system.jobs WHERE job_type = 'retention'")
        deleted = [json.loads(row["message"])["records_deleted"] for row in done]
        assert sum(deleted) == count and done[0]["retry_count"] == 0
        assert root.dicts("SHOW STATS FOR TABLE r.t")[0]["cold_rows"] == "500"


def test_an_eviction_cancelled_and_resumed_after_a_restart():
    config = ServerConfig(stream={"eviction_interval_seconds": 1, "eviction_batch_size": 100})
    running = "SELECT job_id FROM system.jobs WHERE job_type = 'stream_eviction' AND status IN ('running', 'retrying') AND message IS NOT NULL"
    with Server(config) as server:
        root = server.root()
        root.run("CREATE NAMESPACE e; CREATE STREAM TABLE e.s (id INT PRIMARY KEY) WITH (TTL_SECONDS = 1)")
        root.run("INSERT INTO e.s SELECT i FROM GENERATE_SERIES(1, 20000) AS s(i)")

        cancelled = wait_until(lambda: root.rows(running), "an eviction in the middle", interval_s=0)[0][0]
        root.run(f"KILL JOB '{cancelled}'")
        wait_until(lambda: job(root, cancelled)["status"] == "cancelled", "its end")
        resumed = wait_until(lambda: root.rows(running), "another eviction in the middle", interval_s=0)[0][0]
        server.restart()
        root = server.root()
        evicted = wait_for_job(root, resumed)["records_evicted"]
        assert 0 < evicted < 20000 and job(root, resumed)["retry_count"] == 0
        wait_until(lambda: root.dicts("SHOW STATS FOR TABLE e.s")[0]["hot_rows"] == "0", "all rows are evicted")


@pytest.mark.parametrize("place", ["directory", "bucket"])
def test_cleanup_of_a_table_with_1000_segments(place, tmp_path):
    with S3Service() as s3, Server(ServerConfig(storage={"allow_private_endpoints": True})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE c")
        root.run(s3.create_storage("cold") if place == "bucket" else f"CREATE STORAGE cold TYPE filesystem PATH '{tmp_path}/cold'")
        files = s3.objects if place == "bucket" else lambda: list((tmp_path / "cold").rglob("*.parquet"))
        root.run("CREATE SHARED TABLE c.t (p INT, id INT, PRIMARY KEY (p, id)) PARTITION BY (p) WITH (STORAGE_ID = 'cold')")
        root.run("INSERT INTO c.t SELECT i % 1000, i FROM GENERATE_SERIES(1, 3000) AS s(i)")
        root.flush("c.t", timeout_s=300)
        assert len(files()) >= 1000
        dropped = root.result("DROP TABLE c.t")["message"].rsplit("Cleanup job: ", 1)[1]
        assert wait_for_job(root, dropped)["bytes_freed"] > 0
        wait_until(lambda: not files(), "the files are removed", timeout_s=120)


def test_a_dropped_user_is_cleaned_up():
    config = ServerConfig(jobs={"cleanup_interval_seconds": 1}, user_management={"deletion_grace_period_days": 0})
    with Server(config) as server:
        root = server.root()
        alice = server.user("alice")
        root.run("CREATE NAMESPACE u; CREATE USER TABLE u.hot (id INT PRIMARY KEY); CREATE USER TABLE u.cold (id INT PRIMARY KEY)")
        for client in (root, alice):
            client.run("INSERT INTO u.hot VALUES (1), (2); INSERT INTO u.cold VALUES (1)")
        root.flush("u.cold")
        assert (server.data_path / "storage" / "u" / "cold" / "alice").exists()
        root.run("DROP USER alice")
        wait_until(lambda: root.count("system.users", "WHERE user_id = 'alice'") == 0, "the cleanup")
        done = "WHERE job_type = 'user_cleanup' AND status = 'completed'"
        wait_until(lambda: root.count("system.jobs", done) == 1, "the job ends")
        message = root.value(f"SELECT message FROM system.jobs {done}")
        assert json.loads(message)["rows_deleted"] == 3 and json.loads(message)["tables"] == 2
        wait_until(lambda: not list((server.data_path / "storage" / "u" / "cold").glob("alice/*.parquet")), "the files are removed")
        assert root.count("u.hot") == 2 and root.count("u.cold") == 1
        server.tokens.clear()
        again = server.create_user("alice")  # somebody else
        assert again.count("u.hot") == 0 and again.count("u.cold") == 0
