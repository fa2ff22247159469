#!/usr/bin/python3
"""Runs SQL logic tests (test/sql/**/*.test) over HTTP against servers that it starts.

The format is sqllogictest's: `statement ok`, `statement count N`, `statement error <regex>`, `query <types> [rowsort]`
followed by SQL, a line `----` and the expected rows, cells separated by tabs. Cells are shown as on the wire; NULL is
NULL, an empty text (empty), arrays are JSON without spaces. `R` cells are compared as numbers to nine digits. Besides:

  user NAME [ROLE]     who runs what follows; created when new (role user). Each file starts as root.
  skipif MODE          the next record is left out in that mode; `onlyif MODE` is its opposite.
  require no-restart   the whole file is left out with --restart.

Every file has a namespace of its own, `${ns}` in its text, which is also the one for unqualified names, and `${dir}` is
a directory that only it uses. Modes:

  (plain)    as written
  restart    the server is stopped after a third of each file, and killed (-9) after two thirds
  flush      after each INSERT, UPDATE and DELETE every table of the namespace is flushed to Parquet
  bucket     the same, the Parquet files lie in an S3 bucket, and users share them
  engine     every statement goes through the planner: execution.fast_lane is off
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import re
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "e2e"))

from kalam_testlib import Server, ServerConfig  # noqa: E402
from kalam_testlib.http_client import flush  # noqa: E402
from kalam_testlib.s3 import S3Service  # noqa: E402

MODES = ("plain", "restart", "flush", "bucket", "engine")


class FormatError(Exception):
    pass


class Record:
    """One thing to do: `kind` is statement, query, user or require."""

    def __init__(self, line, kind, words, sql="", expected=None, conditions=()):
        self.line = line
        self.kind = kind
        self.words = words
        self.sql = sql
        self.expected = expected or []
        self.conditions = conditions

    def runs_in(self, mode):
        return all((mode == name) == (what == "onlyif") for what, name in self.conditions)


def parse(text):
    """The records of a test file. Errors: FormatError with the line number."""
    records, conditions = [], []
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        start, words = position + 1, lines[position].split()
        position += 1
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("skipif", "onlyif") and len(words) == 2 and words[1] in MODES:
            conditions.append((words[0], words[1]))
            continue
        sql, expected = [], None
        if words[0] in ("statement", "query"):
            while position < len(lines) and lines[position].strip() and lines[position].strip() != "----":
                sql.append(lines[position])
                position += 1
            if position < len(lines) and lines[position].strip() == "----":
                position += 1
                expected = []
                while position < len(lines) and lines[position].strip():
                    expected.append(lines[position])
                    position += 1
        record = Record(start, words[0], words[1:], "\n".join(sql), expected, tuple(conditions))
        check(record, expected is not None)
        records.append(record)
        conditions = []
    if conditions:
        raise FormatError("skipif or onlyif without a record behind it")
    return records


def check(record, has_results):
    words = record.words
    if record.kind == "statement":
        good = (
            words
            and record.sql
            and not has_results
            and (
                words == ["ok"]
                or words[0] == "error"
                or (words[0] == "count" and len(words) == 2 and words[1].isdigit())
            )
        )
    elif record.kind == "query":
        good = (
            words
            and record.sql
            and has_results
            and re.fullmatch("[TIRB]+", words[0])
            and words[1:] in ([], ["nosort"], ["rowsort"])
        )
    elif record.kind == "user":
        good = len(words) in (1, 2)
    else:
        good = record.kind == "require" and words == ["no-restart"]
    if not good:
        raise FormatError(f"line {record.line}: not a record: {record.kind} {' '.join(words)}")


def show(cell):
    if cell is None:
        return "NULL"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if cell == "":
        return "(empty)"
    if isinstance(cell, (list, dict)):
        return json.dumps(cell, separators=(",", ":"))
    if isinstance(cell, float):
        return repr(cell)
    return str(cell).replace("\n", "\\n").replace("\t", "\\t")


def same_cell(kind, expected, actual):
    if kind == "R" and "NULL" not in (expected, actual):
        try:
            return math.isclose(float(expected), float(actual), rel_tol=1e-9, abs_tol=1e-12)
        except ValueError:
            return False
    return expected == actual


class Failure(Exception):
    pass


class FileRun:
    """One test file on one server in one mode."""

    def __init__(self, server, path, mode):
        self.server = server
        self.mode = mode
        self.namespace = "slt_" + re.sub(r"\W+", "_", str(path.relative_to(HERE / "sql").with_suffix("")).lower())
        directory = server.directory / "files" / self.namespace
        self.records = parse(path.read_text().replace("${ns}", self.namespace).replace("${dir}", str(directory)))
        self.caller = server.root()

    def run(self):
        """Runs all records; how many statements and queries were checked. Errors: Failure."""
        checked = 0
        if self.mode == "restart" and any(record.kind == "require" for record in self.records):
            return 0
        self.caller.run(f"CREATE NAMESPACE {self.namespace}")
        third = max(1, len(self.records) // 3)
        for number, record in enumerate(self.records):
            if self.mode == "restart" and number == third:
                self.server.restart()
            if self.mode == "restart" and number == 2 * third:
                self.server.crash()
            if record.runs_in(self.mode):
                try:
                    getattr(self, record.kind)(record)
                except (Failure, AssertionError) as failure:
                    raise Failure(f"line {record.line}: {failure}\n{record.sql}") from None
                checked += record.kind in ("statement", "query")
        with self.server.root() as root:
            root.run(f"DROP NAMESPACE {self.namespace} CASCADE")
        return checked

    def require(self, record):
        pass

    def user(self, record):
        name = record.words[0]
        self.caller = self.server.root() if name == "root" else self.server.user(name, *record.words[1:])

    def statement(self, record):
        response = self.caller.sql(record.sql, namespace=self.namespace)
        if record.words[0] == "error":
            if response.ok:
                raise Failure("succeeded, but an error was expected")
            pattern = " ".join(record.words[1:])
            if (response.status >= 500 and response.status != 501) or not re.search(
                pattern, f"{response.code}: {response.message}"
            ):
                raise Failure(
                    f"expected an error like /{pattern}/ but got HTTP {response.status} "
                    f"{response.code}: {response.message}"
                )
            return
        if not response.ok:
            raise Failure(f"HTTP {response.status} {response.code}: {response.message}")
        if record.words[0] == "count" and response.results[-1]["row_count"] != int(record.words[1]):
            raise Failure(f"{response.results[-1]['row_count']} rows affected, not {record.words[1]}")
        if self.mode in ("flush", "bucket") and re.search(r"\b(INSERT|UPDATE|DELETE)\b", record.sql, re.IGNORECASE):
            self.flush()

    def flush(self):
        with self.server.root() as root:
            if self.mode == "bucket":
                local = f"namespace_id = '{self.namespace}' AND storage_id = 'local' AND table_type IN ('user', 'shared')"
                for (table,) in root.rows(f"SELECT table_name FROM system.tables WHERE {local}"):
                    root.run(f"ALTER TABLE {self.namespace}.{table} SET TBLPROPERTIES (STORAGE_ID = 'bucket')")
            flush(root, f"STORAGE FLUSH ALL IN {self.namespace}")

    def query(self, record):
        response = self.caller.sql(record.sql, namespace=self.namespace)
        if not response.ok:
            raise Failure(f"HTTP {response.status} {response.code}: {response.message}")
        types = record.words[0]
        actual = [[show(cell) for cell in row] for row in response.results[-1].get("rows", [])]
        expected = [line.split("\t") for line in record.expected]
        if any(len(row) != len(types) for row in expected):
            raise Failure(f"an expected row has not the {len(types)} tab-separated cells that 'query {types}' asks for")
        if "rowsort" in record.words:
            actual.sort()
            expected.sort()
        same = len(actual) == len(expected) and all(
            len(a) == len(e) and all(map(same_cell, types, e, a)) for a, e in zip(actual, expected)
        )
        if not same:
            text = "\n".join("\t".join(row) for row in actual)
            wanted = "\n".join("\t".join(row) for row in expected)
            raise Failure(f"wrong result; expected:\n{wanted}\ngot:\n{text}\nfor:")


class Runner:
    """Runs files in one mode, each thread on a server of its own."""

    def __init__(self, mode):
        self.mode = mode
        self.checked = 0
        self.failed = 0
        self.servers = []
        self.s3 = S3Service().__enter__() if mode == "bucket" else None
        self.lock = threading.Lock()
        self.local = threading.local()

    def server(self):
        if not hasattr(self.local, "server"):
            execution = {"fast_lane": self.mode != "engine"}
            storage = {}
            if self.s3:
                template = "{namespace}/{tableName}/{shard}"
                storage = {"allow_private_endpoints": True, "user_tables_template": template, "user_shards": 2}
            self.local.server = Server(ServerConfig(execution=execution, storage=storage)).start()
            with self.lock:
                self.servers.append(self.local.server)
                number = len(self.servers)
            if self.s3:
                with self.local.server.root() as root:
                    root.run(self.s3.create_storage("bucket", f"server-{number}"))
        return self.local.server

    def run(self, path):
        began = time.monotonic()
        server = self.server()
        name = path.relative_to(HERE)
        try:
            count = FileRun(server, path, self.mode).run()
            told = f"ok    {name} ({count} checked, {time.monotonic() - began:.1f} s)"
        except (Failure, FormatError, AssertionError, OSError) as failure:
            count = None
            told = f"FAIL  {name} ({self.mode}), {failure}\n"
            if not server.is_alive():
                told += "the server died:\n" + "".join(server.stderr)[-3000:]
                server.kill()
                server.start()
        with self.lock:
            self.failed += count is None
            self.checked += count or 0
            print(told, flush=True)

    def close(self):
        for server in self.servers:
            server.close()
        if self.s3:
            self.s3.__exit__(None, None, None)


def main():
    options = argparse.ArgumentParser(description="Runs SQL logic tests against servers that it starts.")
    options.add_argument("files", nargs="*", type=pathlib.Path, help="test files (default: all of test/sql)")
    mode = options.add_mutually_exclusive_group()
    for name in MODES[1:]:
        mode.add_argument(f"--{name}", dest="mode", action="store_const", const=name, default="plain")
    options.add_argument("--check", action="store_true", help="only read the files")
    options.add_argument("--jobs", type=int, default=2, help="files that run at a time (default: 2)")
    options.add_argument("--at-least", type=int, default=0, help="fail when fewer statements and queries were checked")
    chosen = options.parse_args()
    files = [path.resolve() for path in chosen.files] or sorted((HERE / "sql").rglob("*.test"))
    if chosen.check:
        for path in files:
            parse(path.read_text())
        return 0
    runner = Runner(chosen.mode)
    try:
        with concurrent.futures.ThreadPoolExecutor(min(chosen.jobs, len(files))) as pool:
            list(pool.map(runner.run, files))
    finally:
        runner.close()
    print(f"{len(files) - runner.failed} of {len(files)} files passed, {runner.checked} statements checked ({chosen.mode})")
    if runner.checked < chosen.at_least:
        print(f"FAIL  fewer than the {chosen.at_least} statements that are promised")
    return 1 if runner.failed or runner.checked < chosen.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
