"""A server with tables in three storages, what its clients know of them, and the comparison of the two."""

import json
import random

from kalam_testlib import Server, ServerConfig, refuse_failures, wait_until

from .contents import Contents
from .copies import Copier, Copies
from .journal import Journal
from .load import COLUMNS, COMMON, WRITERS, Maintenance, Writer

LIVE_JOBS = "WHERE status IN ('new', 'queued', 'running', 'retrying')"


class World:
    """A context manager. `s3` is a running S3Service."""

    def __init__(self, directory, s3, seed):
        self.s3, self.chance = s3, random.Random(seed)
        self.disk = directory / "disk"
        self.server = Server(
            ServerConfig(storage={"allow_private_endpoints": True, "s3_cache_bytes": 1 << 20}), directory=directory
        )
        self.journals = [Journal() for _ in range(WRITERS)]
        self.acknowledged = 0
        self.refused = 0

    def __enter__(self):
        self.server.start()
        root = self.server.root()
        credentials = json.dumps({"access_key_id": self.s3.access_key, "secret_access_key": self.s3.secret_key})
        config = json.dumps({"endpoint": self.s3.gateway.url})
        root.run(
            f"CREATE STORAGE disk TYPE filesystem PATH '{self.disk}'; CREATE STORAGE bucket TYPE s3 "
            f"BUCKET '{self.s3.bucket}' CREDENTIALS '{credentials}' CONFIG '{config}'; CREATE NAMESPACE k"
        )
        for number, (table, (kind, storage)) in enumerate(COMMON.items()):
            # Of some, VACUUM removes deleted rows at once.
            retention = ", DELETED_RETENTION_HOURS = 0" if number % 2 else ""
            root.run(f"CREATE {kind} TABLE {table} ({COLUMNS}) WITH (STORAGE_ID = '{storage}'{retention})")
        self.users = [self.server.user(f"writer{number}", "dba") for number in range(WRITERS)]
        self.copies = Copies(self.users, self.journals, self.chance.getrandbits(32))
        return self

    def __exit__(self, *unused):
        self.server.close()

    def kill_under_load(self, round_number):
        """Load from all writers, a kill at some moment, and a restart, which may be killed too."""
        seeds = [self.chance.getrandbits(32) for _ in range(WRITERS + 1)]
        writers = [
            Writer(self.server.login(f"writer{number}"), number, journal, seeds[number])
            for number, journal in enumerate(self.journals)
        ]
        maintenance = Maintenance(self.server.root(), self.journals, self.s3.gateway, seeds[-1])
        threads = [*writers, maintenance]
        if self.chance.random() < 0.8:
            threads.append(Copier(self.server.root(), self.copies))
        for thread in threads:
            thread.start()
        enough, later_s = self.chance.randrange(100), self.chance.random() / 10
        wait_until(
            lambda: sum(writer.acknowledged for writer in writers) >= enough or any(t.failure for t in threads),
            f"{enough} acknowledged writes",
        )
        threads[0].join(later_s)  # A random moment is what is wanted here.
        refuse_failures(threads, may_be_gone=False)
        self.server.process.kill()
        for thread in threads:
            thread.join()
        refuse_failures(threads, may_be_gone=True)
        self.acknowledged += sum(writer.acknowledged for writer in writers)
        self.refused += sum(writer.refused for writer in writers)
        self.server.kill()
        if self.chance.random() < 0.2:
            self.server.start_and_kill(self.chance.random() * 0.3)
        self.server.start()
        self.copies.check_after_kill(self.server.root())

    def check(self):
        """What is there must be what the journals say."""
        self.s3.gateway.recover()
        contents = Contents(self.users, "k", self.chance)
        wrong = []
        for number, journal in enumerate(self.journals):
            if told := journal.settle(contents.of_writer(number)):
                wrong.append(f"writer {number}: {told}")
        assert not wrong, "\n".join(wrong)

    def check_copies(self, is_last):
        """The backup that is under way is made, restored and compared, and what was restored is dropped. Half of the
        restores are left for the next load, so that kills meet them as often as backups."""
        root = self.server.root()
        leaves_restore = not is_last and self.chance.random() < 0.5

        def is_over():
            return self.copies.copy is None or leaves_restore and self.copies.copy.phase == "restore" or self.copies.go_on(root)

        wait_until(is_over, "the end of a backup and its restore")

    def check_files(self):
        """Once the jobs are through, the files on the disks are those that the tables count, and no others. No job has
        failed but those of tables that were dropped before it began, and copies that met faults of the bucket's service."""
        root = self.server.root()
        wait_until(lambda: not root.count("system.jobs", LIVE_JOBS), "the jobs' end")
        failed = root.rows("SELECT job_type, message FROM system.jobs WHERE status = 'failed'")
        assert not [job for job in failed if "was dropped meanwhile" not in job[1] and job[1] not in self.copies.failures], failed
        places = {"local": self.server.data_path / "storage", "disk": self.disk}
        tables = root.rows("SELECT table_name, storage_id FROM system.tables WHERE namespace_id = 'k'")
        counted = sum(
            int(root.dicts(f"SHOW STATS FOR TABLE k.{name}")[0]["flushed_segments"])
            for name, storage in tables
            if storage in places
        )

        def files():
            return [path for place in places.values() for path in place.rglob("batch-*") if path.is_file()]

        # The old files of a compaction go when their last reader has ended.
        wait_until(lambda: len(files()) == counted, f"{counted} segments on the disks")
        assert not [path for path in files() if path.suffix != ".parquet"], files()

    def jobs(self):
        """How many jobs of each kind have ended how."""
        rows = self.server.root().rows("SELECT job_type, status, COUNT(*) FROM system.jobs GROUP BY ALL ORDER BY ALL")
        return ", ".join(f"{count} {kind} {status}" for kind, status, count in rows)
