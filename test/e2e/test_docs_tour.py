"""The README's five-minute tour, run as it is printed."""

import os
import re

import pytest
from kalam_testlib import Server, tour
from kalam_testlib.server import REPOSITORY, binary

URL = "http://localhost:8080"
README = REPOSITORY / "README.md"


@pytest.mark.skipif(not README.exists(), reason="there is no README.md")
def test_tour(tmp_path):
    text = README.read_text()
    found = tour.blocks(text)
    password = re.search(r"## Five-minute tour.*?KALAMDB_ROOT_PASSWORD=([^\s`]+)", text, re.DOTALL)[1]
    assert found, "README.md has no ```sh block under '## Five-minute tour'"
    assert any(block.expected for block in found), "the tour promises no output, so nothing would be checked"
    with Server(root_password=password) as server:
        environment = {
            "PATH": f"{binary('kalam').parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
        }
        replace = {URL: f"http://localhost:{server.port}"}
        code, outputs = tour.run(found, replace, environment, tmp_path)
        for block, output in zip(found, outputs):
            if block.expected is not None:
                shown = output.replace(str(server.port), "8080")
                assert tour.matches(
                    block.expected, shown
                ), f"README.md line {block.line} promises:\n{block.expected}\nbut this came:\n{shown}"
        assert code == 0, f"README.md line {found[min(len(outputs), len(found)) - 1].line} failed:\n{outputs[-1]}"
