"""Plants one violation of each kind in a copy of the tree's shape and sees that check_style finds it."""

import pathlib
import shutil
import subprocess

TOOL = pathlib.Path(__file__).resolve().parent / "check_style"


def run(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "tools").mkdir(exist_ok=True)
    shutil.copy(TOOL, root / "tools" / "check_style")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return subprocess.run([root / "tools" / "check_style", "--no-format"], capture_output=True, text=True)


def test_clean_tree_passes(tmp_path):
    result = run(tmp_path, {"src/base/a.h": "// A.\n#pragma once\n", "src/hot/b.h": '// B.\n#pragma once\n#include "base/a.h"\n'})
    assert result.returncode == 0, result.stdout


def test_upward_include(tmp_path):
    result = run(tmp_path, {"src/base/a.h": '// A.\n#pragma once\n#include "hot/b.h"\n', "src/hot/b.h": "// B.\n#pragma once\n"})
    assert result.returncode == 1 and "not on a lower layer" in result.stdout


def test_sideways_include(tmp_path):
    result = run(tmp_path, {"src/cold/a.h": '// A.\n#pragma once\n#include "hot/b.h"\n', "src/hot/b.h": "// B.\n#pragma once\n"})
    assert result.returncode == 1 and "not on a lower layer" in result.stdout


def test_cycle(tmp_path):
    result = run(tmp_path, {"src/hot/a.h": '// A.\n#pragma once\n#include "hot/b.h"\n', "src/hot/b.h": '// B.\n#pragma once\n#include "hot/a.h"\n'})
    assert result.returncode == 1 and "include cycle" in result.stdout


def test_wrapped_library(tmp_path):
    result = run(tmp_path, {"src/query/a.cc": "#include <duckdb.hpp>\n"})
    assert result.returncode == 1 and "only src/duck may" in result.stdout


def test_size_and_header_comment(tmp_path):
    result = run(tmp_path, {"src/base/a.h": "#pragma once\n" + "\n" * 400})
    assert result.returncode == 1 and "at most 300" in result.stdout and "starts with a comment" in result.stdout
