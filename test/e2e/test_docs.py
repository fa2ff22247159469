"""The pages under docs/: every example on them is run, and what they promise is compared with what comes."""

import json
import os
import re
import subprocess

import pytest
from kalam_testlib import Server, tour
from kalam_testlib.server import REPOSITORY, binary

DOCS = REPOSITORY / "docs"
URL = "http://localhost:8080"
PASSWORD = "docs-of-kalam"
WILD = "..."
SQL_PAGES = ["types.md", "functions.md", *sorted(f"sql/{page.name}" for page in (DOCS / "sql").glob("*.md"))]


def fences(page):
    """The fenced blocks of a page as (line, language, text)."""
    found, language, content, start = [], None, [], 0
    for number, line in enumerate((DOCS / page).read_text().split("\n"), 1):
        if language is None and line.startswith("```"):
            language, content, start = line[3:].strip(), [], number
        elif language is not None and line == "```":
            found.append((start, language, "\n".join(content)))
            language = None
        elif language is not None:
            content.append(line)
    assert language is None, f"{page}: the block of line {start} has no end"
    return found


def examples(page, language):
    """The blocks of that language, each with the ```text block right behind it, or None, as (line, text, expected)."""
    blocks = fences(page)
    found = []
    for index, (line, kind, text) in enumerate(blocks):
        if kind == language:
            following = blocks[index + 1] if index + 1 < len(blocks) else (0, "", "")
            found.append((line, text, following[2] if following[1] == "text" else None))
    assert found, f"{page} has no {language} blocks, so nothing would be checked"
    return found


def environment(home):
    return {"PATH": f"{binary('kalam').parent}:{os.environ['PATH']}", "HOME": str(home)}


def check(page, line, expected, output):
    assert tour.matches(
        expected, output
    ), f"docs/{page}, example of line {line}, promises:\n{expected}\nbut this came:\n{output}"


def run_sql(server, home, sql):
    """What `kalam --csv` prints for the block, errors included; and whether it succeeded."""
    command = ["kalam", "--no-color", "--url", server.url, "--user", "root", "--password", PASSWORD, "--csv", "-c", sql]
    done = subprocess.run(
        command,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout, done.returncode == 0


@pytest.mark.parametrize("page", SQL_PAGES)
def test_sql(page, tmp_path):
    with Server(root_password=PASSWORD) as server:
        for line, sql, expected in examples(page, "sql"):
            # The examples' one directory that is not the server's own.
            archive = str(server.directory / "archive")
            output, succeeded = run_sql(server, tmp_path, sql.replace("/mnt/archive", archive))
            output = output.replace(archive, "/mnt/archive")
            shown_as_failure = expected is not None and re.search("^ERROR ", expected, re.MULTILINE) is not None
            assert (
                succeeded != shown_as_failure
            ), f"docs/{page}, example of line {line}: success is {succeeded}\n{output}"
            if expected is not None:
                check(page, line, expected, output)


def run_shell_page(page, tmp_path):
    found = []
    for line, script, expected in examples(page, "sh"):
        block = tour.Block(line, script)
        block.expected = expected
        found.append(block)
    with Server(root_password=PASSWORD) as server:
        replace = {URL: f"http://localhost:{server.port}"}
        code, outputs = tour.run(found, replace, environment(tmp_path), tmp_path)
        for block, output in zip(found, outputs):
            if block.expected is not None:
                check(page, block.line, block.expected, output.replace(str(server.port), "8080"))
        assert code == 0, f"docs/{page}, block {len(outputs)}, failed:\n{outputs[-1]}"


def test_http(tmp_path):
    run_shell_page("http.md", tmp_path)


def test_kalam(tmp_path):
    run_shell_page("kalam.md", tmp_path)


class Conversation:
    """The messages of websocket.md's worked example, in their order. Strings that start with $ stand for what the test or an
    earlier answer gave: $TOKEN, and $SEQ for the newest last_seq_id."""

    def __init__(self, server, variables):
        self.ws = server.websocket()
        self.variables = variables
        self.seen = 0

    def filled(self, value):
        if isinstance(value, dict):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return self.variables.get(value, value) if isinstance(value, str) else value

    def send(self, message):
        self.ws.send(self.filled(message))

    def next_message(self):
        position = self.seen
        message = self.ws.wait_for(lambda: self.ws.messages[position : position + 1], "the next message")[0]
        self.seen += 1
        last_seq = message.get("batch_control", {}).get("last_seq_id")
        if last_seq is not None:
            self.variables["$SEQ"] = last_seq
        return message


def fits(expected, actual):
    """Whether the two are the same, "..." standing for any value and, as a member's name, for any further members."""
    if expected == WILD:
        return True
    if isinstance(expected, dict) and isinstance(actual, dict):
        named = {name: value for name, value in expected.items() if name != WILD}
        if WILD not in expected and named.keys() != actual.keys():
            return False
        return all(name in actual and fits(value, actual[name]) for name, value in named.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(fits, expected, actual))
    return type(expected) is type(actual) and expected == actual


def test_wildcards():
    assert fits({"a": 1, WILD: WILD}, {"a": 1, "b": 2})
    assert not fits({"a": 1}, {"a": 1, "b": 2})
    assert not fits({"a": [1, WILD]}, {"a": [1]})
    assert not fits({"a": True}, {"a": 1})


def test_websocket(tmp_path):
    """```sql blocks run over HTTP; in ```json blocks a line that starts with > is sent and one with < must come."""
    sent = received = 0
    with Server(root_password=PASSWORD) as server:
        variables = {"$TOKEN": server.root().token}
        conversation = None
        for line, language, text in fences("websocket.md"):
            if language == "sql":
                output, succeeded = run_sql(server, tmp_path, text)
                assert succeeded, f"docs/websocket.md, line {line}: {output}"
            if language != "json":
                continue
            for step in text.split("\n"):
                arrow, message = step[:2], json.loads(step[2:])
                if arrow == "> ":
                    if message["type"] == "authenticate":
                        if conversation is not None:
                            conversation.ws.close()
                        conversation = Conversation(server, variables)
                    conversation.send(message)
                    sent += 1
                else:
                    assert arrow == "< ", f"docs/websocket.md, line {line}: neither > nor <: {step}"
                    came = conversation.next_message()
                    assert fits(
                        conversation.filled(message), came
                    ), f"docs/websocket.md, block of line {line}, promises:\n{message}\nbut this came:\n{came}"
                    received += 1
        conversation.ws.round_trip("nothing-else")
        assert [m for m in conversation.ws.messages[conversation.seen :] if m["type"] != "error"] == []
        conversation.ws.close()
    assert sent > 3 and received > 3, "websocket.md has no worked example"


def test_configuration():
    text = (DOCS / "configuration.md").read_text()
    table = re.search(r"<!-- settings -->\n(.*)<!-- end of settings -->\n", text, re.DOTALL)
    assert table is not None, "docs/configuration.md has lost the marks around its table"
    printed = subprocess.run([binary(), "--settings"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert (
        table[1] == printed
    ), "docs/configuration.md is not what `kalamdb --settings` prints: copy it between the marks"


def test_excerpts():
    """The code that how-to-add-sql-statement.md shows is the code that is there, and the test that it shows is in a test file."""
    page = "how-to-add-sql-statement.md"
    sources = [path.read_text() for path in (REPOSITORY / "src/query").rglob("*.[ch]*")]
    tests = [path.read_text() for path in (REPOSITORY / "test/sql").rglob("*.test")]
    shown = fences(page)
    assert {"cpp", ""} <= {language for _, language, _ in shown}, f"docs/{page} shows no code or no test"
    for line, language, text in shown:
        there = sources if language == "cpp" else tests
        assert any(text in source for source in there), f"docs/{page}, line {line}: no file has this any more:\n{text}"


def test_links():
    """Every relative link of a page leads to a file, and every #heading to a heading."""
    for page in [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, heading = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), f"{page.relative_to(REPOSITORY)} links to {target}, which is not there"
            if heading:
                titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert heading in anchors, f"{page.relative_to(REPOSITORY)} links to {target}: no such heading"
