"""The terminal client `kalam`, as a process: scripts, formats, imports, and the prompt through a pseudo-terminal."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from kalam_testlib import DEADLINE_S, wait_until
from kalam_testlib.server import ROOT_PASSWORD, USER_PASSWORD, binary


class Kalam:
    def __init__(self, server, home, user="root", password=ROOT_PASSWORD):
        self.arguments = [str(binary("kalam")), "--url", server.url, "--user", user, "--password", password]
        self.environment = {**os.environ, "HOME": str(home), "TERM": "xterm", "NO_COLOR": "1"}
        self.environment.pop("KALAMDB_CREDENTIALS_PATH", None)

    def __call__(self, *arguments, stdin=""):
        return subprocess.run(
            [*self.arguments, *map(str, arguments)],
            env=self.environment,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=2 * DEADLINE_S,
        )

    def start(self, *arguments):
        return subprocess.Popen(
            [*self.arguments, *map(str, arguments)],
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def good(self, *arguments, stdin=""):
        done = self(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def kalam(server, tmp_path):
    return Kalam(server, tmp_path)


@pytest.fixture
def table(root, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, name TEXT, n DECIMAL(8,2), made TIMESTAMP)")
    return f"{ns}.t"


def test_command(kalam, root, table):
    out = kalam.good("-c", f"INSERT INTO {table} (id, name, n) VALUES (1, 'one', 1.5), (2, NULL, NULL)")
    assert "Inserted 2 row(s)" in out and "2 rows affected" in out
    out = kalam.good("-c", f"SELECT id, name, n FROM {table} ORDER BY id")
    assert re.search(r"id.*name.*n", out) and re.search(r"1.*one.*1\.50", out) and "(2 rows)" in out
    assert "(1 row)" in kalam.good("-c", f"SELECT id FROM {table} WHERE id = 1")


def test_several_statements_show_each_result(kalam, table):
    out = kalam.good(
        "-c", f"INSERT INTO {table} (id) VALUES (1); SELECT 41 + 1 AS answer; DELETE FROM {table} WHERE id = 1"
    )
    assert out.index("Inserted 1 row(s)") < out.index("answer") < out.index("42") < out.index("Deleted 1 row(s)")


def test_explain_draws_the_plan(kalam, table):
    lines = kalam.good("-c", f"EXPLAIN SELECT name FROM {table} WHERE id = 1").splitlines()
    assert lines[:2] == ["lane: fast lane: read by key", "physical_plan:"]
    assert any("Hot rows: 0" in line for line in lines) and all(len(line) < 100 for line in lines)


def test_json(kalam, root, table):
    root.run(f"INSERT INTO {table} (id, name) VALUES (1, 'q\"uote')")
    for flags in (("--json",), ("--format", "json")):
        answer = json.loads(kalam.good(*flags, "-c", f"SELECT id, name FROM {table}"))
        assert answer["status"] == "success" and answer["results"][0]["rows"] == [[1, 'q"uote']]


def test_csv(kalam, root, table):
    root.run(
        f"INSERT INTO {table} (id, name, n) VALUES (1, 'a,\"b\"', -0.5), (2, NULL, NULL), (3, 'two' || CHR(10) || 'lines', 1)"
    )
    rows = list(csv.reader(io.StringIO(kalam.good("--csv", "-c", f"SELECT id, name, n FROM {table} ORDER BY id"))))
    assert rows == [["id", "name", "n"], ["1", 'a,"b"', "-0.50"], ["2", "", ""], ["3", "two\nlines", "1.00"]]


def test_file(kalam, root, table, tmp_path):
    script = tmp_path / "script.sql"
    script.write_text(
        f"-- a comment; with a semicolon\nINSERT INTO {table} (id, name) VALUES (1, 'semi;colon');\n"
        f"INSERT INTO {table} (id, name)\n  VALUES (2, 'it''s');\nSELECT COUNT(*) AS how_many FROM {table}"
    )
    assert "how_many" in kalam.good("-f", script)
    assert root.rows(f"SELECT id, name FROM {table} ORDER BY id") == [[1, "semi;colon"], [2, "it's"]]
    assert "3" in kalam.good("-f", "-", stdin=f"INSERT INTO {table} (id) VALUES (3);\nSELECT MAX(id) FROM {table};\n")
    assert kalam("-f", tmp_path / "missing.sql").returncode == 1


def test_errors(kalam, server, table, tmp_path):
    wrong = kalam("-c", "SELECT nope")
    assert (
        wrong.returncode == 1
        and "SQL_EXECUTION_ERROR" in wrong.stderr + wrong.stdout
        and "nope" in wrong.stderr + wrong.stdout
    )
    refused = Kalam(server, tmp_path, password="wrong")("-c", "SELECT 1")
    assert refused.returncode == 1 and refused.stderr.startswith("Error: ") and "Invalid credentials" in refused.stderr
    away = Kalam(server, tmp_path)
    away.arguments[2] = "http://127.0.0.1:9"
    done = away("-c", "SELECT 1")
    assert done.returncode == 1 and "127.0.0.1:9" in done.stderr
    assert kalam("--nonsense").returncode != 0


def test_every_role(server, root, alice, ns, tmp_path):
    root.run(f"CREATE USER TABLE {ns}.mine (id INT PRIMARY KEY)")
    kalam = Kalam(server, tmp_path, "alice", USER_PASSWORD)
    kalam.good("-c", f"INSERT INTO {ns}.mine VALUES (7)")
    assert "7" in kalam.good("-c", f"SELECT id FROM {ns}.mine")
    assert "mine" in kalam.good("-c", "\\dt")


def test_token_and_stored_credentials(server, root, alice, tmp_path):
    kalam = Kalam(server, tmp_path)
    kalam.arguments = [str(binary("kalam")), "--url", server.url, "--token", alice.token]
    assert "alice" in kalam.good("-c", "SELECT CURRENT_USER()")
    Kalam(server, tmp_path).good("--save-credentials", "-c", "SELECT 1")
    stored = tmp_path / ".kalam/credentials.toml"
    assert stored.stat().st_mode & 0o077 == 0 and ROOT_PASSWORD not in stored.read_text()
    kalam.arguments = [str(binary("kalam")), "--url", server.url]
    assert "root" in kalam.good("-c", "SELECT CURRENT_USER()")


def test_describe_and_list(kalam, table, ns):
    out = kalam.good("-c", "\\dt")
    assert re.search(rf"{ns}.*t.*shared", out)
    out = kalam.good("-c", f"\\d {table}")
    assert re.search(r"name.*TEXT", out) and re.search(r"n.*DECIMAL\(8, 2\)", out) and re.search(r"id.*INT.*NO", out)


# --- import


def test_import_json_lines(kalam, root, table, tmp_path):
    lines = [
        json.dumps({"id": n, "name": f"näme '{n}'", "n": n / 4, "made": "2024-01-02T03:04:05Z"}) for n in range(1200)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n\n")
    done = kalam("import", table, tmp_path / "rows.jsonl", "--batch-rows", "100")
    assert done.returncode == 0, done.stderr
    assert "1200" in (done.stdout + done.stderr).replace(",", "") and "rows/s" in done.stdout + done.stderr
    assert root.rows(f"SELECT COUNT(*), COUNT(DISTINCT id), SUM(n), MIN(made) FROM {table}") == [
        ["1200", "1200", "179850.00", 1704164645000000]
    ]
    assert root.rows(f"SELECT name FROM {table} WHERE id = 7") == [["näme '7'"]]
    again = kalam("import", table, tmp_path / "rows.jsonl", "--on-conflict", "skip")
    assert again.returncode == 0 and root.count(table) == 1200
    more = tmp_path / "more.jsonl"
    more.write_text("\n".join(lines[:10] + [json.dumps({"id": 5000})]))
    assert kalam("import", table, more, "--on-conflict", "skip").returncode == 0
    assert root.count(table) == 1201
    assert kalam("import", table, more).returncode == 1, "without skip, keys that are there are refused"


def test_import_reports_each_refused_row(kalam, root, table, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"id": 1, "name": "good"}\n'
        '{"id": "two", "name": "no number"}\n'
        '{"id": 3, "nope": 1}\n'
        "not json\n"
        '{"id": 5, "made": "yesterday"}\n'
        '{"name": "no key"}\n'
        '{"id": 1, "name": "again"}\n'
        '{"id": 8, "name": "good too"}\n'
    )
    done = kalam("import", table, path, "--rejects", tmp_path / "rejects.jsonl")
    assert done.returncode == 1
    report = done.stdout + done.stderr
    for line, words in ((2, "id"), (3, "nope"), (4, ""), (5, "made"), (6, "id"), (7, "")):
        assert re.search(rf"\b{line}\b.*{words}", report), (line, report)
    assert root.rows(f"SELECT id, name FROM {table} ORDER BY id") == [[1, "good"], [8, "good too"]]
    rejected = (tmp_path / "rejects.jsonl").read_text()
    assert rejected.count("\n") == 6 and "not json" in rejected and "good too" not in rejected


def test_import_csv(kalam, root, table, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        'id,n,name,made\r\n1,-0.50,"a, ""b""",2024-01-02T03:04:05Z\r\n2,,,\r\n3,1,"two\nlines",2024-01-02\r\nx,1,bad,\r\n'
    )
    done = kalam("import", table, path)
    assert done.returncode == 1 and re.search(r"\b[56]\b.*id", done.stdout + done.stderr), done.stderr
    assert root.rows(f"SELECT id, n, name, made FROM {table} ORDER BY id") == [
        [1, "-0.50", 'a, "b"', 1704164645000000],
        [2, None, root.rows(f"SELECT name FROM {table} WHERE id = 2")[0][0], None],
        [3, "1.00", "two\nlines", 1704153600000000],
    ]
    assert kalam("import", table, tmp_path / "missing.csv").returncode == 1
    assert kalam("import", f"{table}_missing", path).returncode == 1


def test_import_as_the_users_named(kalam, root, server, ns, tmp_path):
    root.run(f"CREATE USER TABLE {ns}.inbox (id INT PRIMARY KEY, owner TEXT)")
    path = tmp_path / "inbox.jsonl"
    path.write_text("".join(json.dumps({"id": n, "owner": f"owner{n % 3}"}) + "\n" for n in range(30)))
    assert kalam("import", f"{ns}.inbox", path, "--as-user-column", "owner").returncode == 0
    assert root.count(f"{ns}.inbox") == 0
    owner = server.user("owner1")
    assert owner.rows(f"SELECT COUNT(*), MIN(owner), MAX(owner) FROM {ns}.inbox") == [["10", "owner1", "owner1"]]


# --- live views


def test_subscribe(kalam, root, table):
    root.run(f"INSERT INTO {table} (id, name) VALUES (1, 'before')")
    process = kalam.start("--subscribe", f"SELECT * FROM {table}", "--max-changes", "3")
    try:
        lines = []
        while not any("BATCH" in line for line in lines):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            lines.append(line)
        root.run(f"INSERT INTO {table} (id, name) VALUES (2, 'live')")
        root.run(f"UPDATE {table} SET name = 'changed' WHERE id = 2")
        root.run(f"DELETE FROM {table} WHERE id = 2")
        # Not communicate(), which would lose what readline() has read ahead.
        text = "".join(lines) + process.stdout.read()
        process.wait(DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 0, process.stderr.read()
    assert re.search(r"\[\d\d:\d\d:\d\d\.\d{3}\] ✓ SUBSCRIBED \[sub_\d+\]", text), text
    assert "before" in text
    assert re.search(r"INSERT \[.*\].*live", text) and re.search(r"UPDATE \[.*\].*live.*=>.*changed", text), text
    assert re.search(r"DELETE \[.*\].*changed", text), text


def test_interrupt_ends_a_live_view(kalam, table):
    process = kalam.start("--subscribe", f"SELECT * FROM {table}")
    try:
        assert "SUBSCRIBED" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode in (0, 130)
    finally:
        process.kill()


# --- the prompt


class Terminal:
    """`kalam` on a pseudo-terminal, as a person sees it."""

    def __init__(self, kalam):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(kalam.arguments[0], kalam.arguments, kalam.environment)
        self.screen = ""

    def read_until(self, pattern):
        """Reads until what was shown since the last call matches; that text, without terminal codes."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r", "", self.screen)
            if re.search(pattern, plain):
                self.screen = ""
                return plain
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.descriptor], [], [], left)[0], f"no {pattern!r} in: {plain!r}"
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:
                data = b""
            assert data, f"ended without {pattern!r}: {plain!r}"
            self.screen += data.decode("utf-8", "replace")

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def wait(self):
        found = wait_until(self.ended, "the end")
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(found[1])

    def ended(self):
        if select.select([self.descriptor], [], [], 0)[0]:
            try:
                os.read(self.descriptor, 65536)
            except OSError:
                pass
        ended = os.waitpid(self.pid, os.WNOHANG)
        return ended if ended[0] else None


PROMPT = r"[>#] ?$"


def test_prompt(kalam, root, table, tmp_path):
    root.run(f"INSERT INTO {table} (id, name) VALUES (1, 'shown')")
    terminal = Terminal(kalam)
    terminal.read_until(PROMPT)
    terminal.type(f"SELECT name\nFROM {table}\nWHERE id = 1;\n")
    terminal.read_until(r"shown[\s\S]*\(1 row\)[\s\S]*" + PROMPT)
    terminal.type("\\dt\n")
    terminal.read_until(r"shared[\s\S]*" + PROMPT)
    terminal.type(f"\\d {table}\n")
    terminal.read_until(r"DECIMAL\(8, 2\)[\s\S]*" + PROMPT)
    terminal.type("SELEC;\n")
    terminal.read_until(r"INVALID_SQL[\s\S]*" + PROMPT)
    terminal.type("SELECT 'still ' || 'here';\n")
    terminal.read_until(r"still here[\s\S]*\(1 row\)[\s\S]*" + PROMPT)
    terminal.type("\\q\n")
    assert terminal.wait() == 0
    history = tmp_path / ".kalam/history"
    assert "SELECT" in history.read_text() and ROOT_PASSWORD not in history.read_text()


def test_prompt_subscribes(kalam, root, table):
    terminal = Terminal(kalam)
    terminal.read_until(PROMPT)
    terminal.type(f"\\subscribe SELECT * FROM {table}\n")
    terminal.read_until(r"BATCH|SUBSCRIBED[\s\S]*complete")
    root.run(f"INSERT INTO {table} (id, name) VALUES (1, 'came live')")
    terminal.read_until(r"INSERT \[.*came live")
    terminal.type("\x03")
    terminal.read_until(PROMPT)
    terminal.type("\\q\n")
    assert terminal.wait() == 0
