"""A server with tables in three storages, what its clients know of them, and the comparison of the two."""

import json
import random

from kalam_testlib import Server, ServerConfig, refuse_failures, wait_until

from .journal import Journal
from .load import COLUMNS, COMMON, KEYS_OF_A_WRITER, OWN, WRITERS, Maintenance, Writer

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
        for table, (kind, storage) in COMMON.items():
            root.run(f"CREATE {kind} TABLE {table} ({COLUMNS}) WITH (STORAGE_ID = '{storage}')")
        self.users = [self.server.user(f"writer{number}", "dba") for number in range(WRITERS)]
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

    def check(self):
        """What is there must be what the journals say."""
        self.s3.gateway.recover()
        wrong = []
        definitions = {
            f"k.{table['table_name']}": table
            for table in self.users[0].dicts("SELECT table_name, storage_id FROM system.tables WHERE namespace_id = 'k'")
        }
        for number, journal in enumerate(self.journals):
            found = {}
            own = [name for name in definitions if name.startswith(f"k.own{number}_")]
            assert len(own) <= 1, f"two tables of writer {number}: {own}"
            if own:
                found["table",] = (own[0], definitions[own[0]]["storage_id"])
                found.update(self.rows_of(number, OWN, own[0]))
            for table in COMMON:
                found.update(self.rows_of(number, table, table))
                found.update(self.column_of(number, table))
            if told := journal.settle(found):
                wrong.append(f"writer {number}: {told}")
        assert not wrong, "\n".join(wrong)

    def rows_of(self, number, cell_name, table):
        """The cells of the writer's rows, read in more ways than one."""
        client = self.users[number]
        found = {}
        rows = client.dicts(f"SELECT * FROM {table}")
        for row in rows:
            id = row["id"]
            assert id not in found, f"{table}: row twice: {id}"
            assert row["n"] == id, f"{table}: half a row: {row}"
            assert 0 <= id < WRITERS * KEYS_OF_A_WRITER, f"{table}: a row that nobody wrote: {row}"
            found[id] = row["v"]
        assert client.count(table) == len(found), f"{table}: COUNT(*) is not the number of rows"
        mine = {id: v for id, v in found.items() if id // KEYS_OF_A_WRITER == number}
        foreign = cell_name == OWN or COMMON[cell_name][0] == "USER"
        assert len(mine) == len(found) or not foreign, f"{table}: rows of others: {found}"
        for id in self.chance.sample(sorted(mine), min(2, len(mine))):
            by_key = client.rows(f"SELECT v FROM {table} WHERE id = {id}")
            assert by_key == [[mine[id]]], f"{table}: row {id} is {mine[id]} in a scan and {by_key} by its key"
        return {("row", cell_name, id): v for id, v in mine.items()}

    def column_of(self, number, table):
        """The cell of the writer's column, and that each row has its default."""
        name = f"e{number}"
        default = [
            column["column_default"]
            for column in self.users[number].dicts(f"DESCRIBE TABLE {table}")
            if column["column_name"] == name
        ]
        if not default:
            return {}
        value = int(default[0])
        other = self.users[number].count(table, f"WHERE {name} IS DISTINCT FROM {value}")
        assert other == 0, f"{table}: {other} rows do not have the default {value} of {name}"
        return {("column", table, name): value}

    def check_files(self):
        """Once the jobs are through, the files on the disks are those that the tables count, and no others. No job has
        failed but those of tables that were dropped before it began."""
        root = self.server.root()
        wait_until(lambda: not root.count("system.jobs", LIVE_JOBS), "the jobs' end")
        failed = root.rows("SELECT job_type, message FROM system.jobs WHERE status = 'failed'")
        assert not [job for job in failed if "was dropped meanwhile" not in job[1]], failed
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
