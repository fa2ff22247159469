"""Backups that are made of namespace k under load, restored beside it, compared with what was acknowledged, and dropped."""

import collections
import json
import random
import time

from kalam_testlib import LoadThread

from .contents import Contents
from .load import COMMON

# What may answer beside success while the bucket's service stumbles; nothing is done then.
UNAVAILABLE = 503
LIVE = ("new", "queued", "running", "retrying")


class Copy:
    """One backup. `recordings`: of each journal, the states that it may hold. `phase`: what is to be done next."""

    def __init__(self, number, place, recordings):
        self.number, self.place, self.recordings = number, place, recordings
        self.path = f"b{number}"
        self.target = f"r{number % 3}"  # Few names, so that they are used again.
        self.phase = "backup"
        self.seq = self.tables = None  # of the complete backup


class Copies:
    """All that is done is found again after a kill, from wherever it was. `users` are the writers' clients, of which nobody else
    makes use meanwhile."""

    def __init__(self, users, journals, seed):
        self.users, self.journals = users, journals
        self.chance = random.Random(seed)
        self.copy = None
        self.ended = set()  # ids of jobs
        self.failures = []  # what jobs said that met faults of the bucket's service
        self.made = self.restored = 0
        self.interrupted = collections.Counter()  # by what was to be done next

    def begin(self):
        self.made += 1
        place = self.chance.choice(("'{}'", "'{}'", "STORAGE disk '{}'", "STORAGE bucket '{}'"))
        self.copy = Copy(self.made, place.format(f"b{self.made}"), [journal.record() for journal in self.journals])

    def end(self):
        for journal, states in zip(self.journals, self.copy.recordings):
            journal.stop(states)
        self.copy = None

    def go_on(self, root):
        """The next step, without waiting. Whether a copy has been gone through from end to end."""
        if self.copy is None:
            self.begin()
        return getattr(self, self.copy.phase)(root)

    def backup(self, root):
        copy = self.copy
        told = self.job(root, f"BACKUP DATABASE k TO {copy.place}", "backup", "k")
        if told:
            copy.seq, copy.tables, copy.phase = int(told["seq"]), told["tables"], "restore"
            for journal, states in zip(self.journals, copy.recordings):
                journal.stop(states)

    def restore(self, root):
        copy = self.copy
        told = self.job(root, f"RESTORE DATABASE {copy.target} FROM {copy.place}", "restore", copy.target)
        if told is None:
            self.look(root)
        else:
            copy.phase = "compare"

    def compare(self, root):
        self.check(root)
        self.restored += 1
        self.copy.phase = "drop"

    def drop(self, root):
        root.run(f"DROP NAMESPACE IF EXISTS {self.copy.target}")
        if self.chance.random() < 0.2:
            self.copy.phase = "restore"  # The same backup once more, maybe behind the next kill.
            return False
        self.end()
        return True

    def job(self, root, statement, kind, namespace):
        """Starts the job unless there is one; what it tells when it is complete."""
        like = f'%"backup_path":"{self.copy.path}"%"namespace":"{namespace}"%'
        found = [
            row
            for row in root.rows(
                f"SELECT job_id, status, message FROM system.jobs WHERE job_type = '{kind}' AND parameters LIKE '{like}'"
            )
            if row[0] not in self.ended
        ]
        assert len(found) <= 1, found
        if not found:
            response = root.sql(statement)
            assert response.ok or response.status == UNAVAILABLE and "bucket" in statement, (statement, response)
            return None
        job_id, status, message = found[0]
        if status in LIVE:
            return None
        self.ended.add(job_id)
        if status == "completed":
            return json.loads(message)
        # A backup reads from the bucket, and a restore writes to it, wherever the copy is. And what was killed too often is given up.
        assert status == "failed" and ("storage 'bucket'" in message or message == "Server restarted"), found
        self.failures.append(message)
        if kind == "backup":
            self.end()
        return None

    def look(self, root):
        """While a restore is under way, its tables are there all at once or not at all."""
        count = root.count("system.tables", f"WHERE namespace_id = '{self.copy.target}'")
        assert count in (0, self.copy.tables), f"half a restore is visible: {count} of {self.copy.tables} tables"
        return count > 0

    def check_after_kill(self, root):
        """Before anything else: what is visible of a restore that the kill may have met is all of it."""
        if self.copy:
            self.interrupted[self.copy.phase] += 1
            if self.copy.phase == "restore" and self.look(root):
                self.check(root)

    def check(self, root):
        """What was restored must be what was acknowledged at the backup's moment."""
        copy = self.copy
        assert self.look(root), f"{copy.target} is not there"
        contents = Contents(self.users, copy.target, self.chance)
        for number, journal in enumerate(self.journals):
            told = journal.compare(copy.recordings[number], contents.of_writer(number))
            assert not told, f"backup {copy.place}, restored as {copy.target}, writer {number}: {told}"
        for table, (kind, _) in COMMON.items():
            for client in self.users if kind == "USER" else self.users[:1]:
                self.check_moment(client, table, f"{copy.target}.{table.removeprefix('k.')}")

    def check_moment(self, client, table, copied):
        """Rows that have not been written since the backup are in it, under the same `_seq`, and none from later."""
        seq = self.copy.seq
        assert client.count(copied, f"WHERE _seq > {seq}") == 0, f"{copied}: rows from behind {seq}"
        missing = client.rows(
            f"SELECT id, _seq FROM {table} o WHERE _seq <= {seq} AND NOT EXISTS "
            f"(SELECT 1 FROM {copied} c WHERE c.id = o.id AND c._seq = o._seq)"
        )
        assert not missing, f"{copied}: rows from before {seq} are missing: {missing[:5]}"


class Copier(LoadThread):
    def __init__(self, client, copies):
        super().__init__()
        self.client, self.copies = client, copies

    def work(self):
        while True:
            self.copies.go_on(self.client)
            time.sleep(0.005)  # Not waiting for anything: the jobs' ends are looked for now and then.
