"""The reference: DuckDB alone, in a process of its own (test/plain_duckdb.cc)."""

import json
import os
import pathlib
import subprocess

from kalam_testlib.server import binary


class Answer:
    """What one side answered: `types` and `rows` in canonical form (see compare.py), or `error`."""

    def __init__(self, types=(), rows=(), error=None):
        self.types = list(types)
        self.rows = list(rows)
        self.error = error


class PlainDuckDb:
    def __init__(self):
        default = binary().parent.parent / "test/plain_duckdb"
        program = pathlib.Path(os.environ.get("KALAMDB_PLAIN", default))
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.run("SET TimeZone = 'UTC'")

    def answer(self, sql):
        """The answer to one statement, as the program printed it."""
        self.process.stdin.write(sql.replace("\n", " ") + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"plain DuckDB died of: {sql}"
        return json.loads(line)

    def run(self, sql):
        """The rows of a statement that must succeed."""
        answer = self.answer(sql)
        assert "error" not in answer, f"plain DuckDB: {answer['error']}\nfor: {sql}"
        return answer["rows"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
