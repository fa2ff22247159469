"""Flipped bits and truncated files: what is damaged is an error, or the right rows, and never a wrong row or a crash.

KALAM_DAMAGES: how many are tried (default 24; `make torture` 1000), each on a copy of one database.
KALAM_DAMAGE_SEED: which ones (default 1; "random" draws one). A failure names the seed and the number of the damage.
"""

import os
import random
import shutil

from kalam_testlib import Server, StartError

DAMAGES = int(os.environ.get("KALAM_DAMAGES", "24"))
# Each reads something else: every column by a scan, by keys, the deleted rows, numbers that manifests know.
QUERIES = [
    "SELECT * FROM d.t ORDER BY id",
    "SELECT v, n, x FROM d.t WHERE id = 700",
    "SELECT v FROM d.t WHERE id = 1234",
    "SELECT COUNT(*), SUM(n), MIN(v), MAX(x) FROM d.t",
    "SELECT id FROM d.t WHERE x BETWEEN 10 AND 20 ORDER BY id",
    "SELECT COUNT(*) FROM d.t WHERE _deleted = true",
    "SELECT id, v FROM d.u ORDER BY id",
    "SELECT COUNT(*) FROM d.u",
]


def chosen_seed():
    seed = os.environ.get("KALAM_DAMAGE_SEED", "1")
    return random.SystemRandom().randrange(1 << 31) if seed == "random" else int(seed)


def fill(server):
    """Rows in segments of three codecs, with deletions; in tables of RocksDB; and in its log."""
    root = server.root()
    root.run("CREATE NAMESPACE d; CREATE SHARED TABLE d.t (id INT PRIMARY KEY, v TEXT, n BIGINT, x DOUBLE)")
    root.run("CREATE USER TABLE d.u (id INT PRIMARY KEY, v TEXT) WITH (COMPRESSION = 'none')")
    for part in range(4):
        root.run(
            f"INSERT INTO d.t SELECT i, 'text ' || (i * 7919 % 1000), i * i, i / 16.0 "
            f"FROM GENERATE_SERIES({part * 500}, {part * 500 + 499}) AS s(i)"
        )
        root.run(f"INSERT INTO d.u SELECT i, 'v' || i FROM GENERATE_SERIES({part * 100}, {part * 100 + 99}) AS s(i)")
        root.run(f"DELETE FROM d.t WHERE id % 500 = {part}")
        if part < 2:
            root.flush("d.t")
            root.flush("d.u")
        root.run(f"UPDATE d.t SET v = 'updated {part}' WHERE id % 100 = {part}; DELETE FROM d.u WHERE id % 50 = {part}")
        # Another log each time, so that the one in use is not the only one.
        server.crash()


def damage(chance, directory):
    """Damages one file, and says how."""
    files = sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and path.stat().st_size and path.name not in ("LOCK", "LOG", "IDENTITY", "server.toml")
        and not path.name.startswith("OPTIONS")
    )
    # Each kind of file as often as the others, however many of it there are.
    kinds = sorted({path.name.partition("-")[0] if "-" in path.name else path.suffix or path.name for path in files})
    kind = chance.choice(kinds)
    path = chance.choice([p for p in files if kind == (p.name.partition("-")[0] if "-" in p.name else p.suffix or p.name)])
    content = bytearray(path.read_bytes())
    # The end of the log that was in use is no damage: it looks as a crash in the middle of a write leaves it.
    if chance.random() < 0.2 and path.suffix != ".log":
        del content[chance.randrange(len(content)) :]
        how = f"{path.relative_to(directory)} cut to {len(content)} bytes"
    else:
        bit = chance.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        how = f"{path.relative_to(directory)}: bit {bit % 8} of byte {bit // 8} of {len(content)}"
    path.write_bytes(content)
    return how


def answers(server):
    """What each query says: its rows, or None if it fails with an error."""
    found = []
    root = server.root()
    for sql in QUERIES:
        response = root.sql(sql)
        assert response.ok or response.error, response
        found.append(response.results[0]["rows"] if response.ok else None)
    assert server.is_alive(), "the server died:\n" + "".join(server.stderr)[-2000:]
    return found


def test_damage_is_an_error_or_the_right_rows(tmp_path):
    seed = chosen_seed()
    (tmp_path / "original").mkdir()
    with Server(directory=tmp_path / "original") as server:
        fill(server)
        expected = answers(server)
        token = server.tokens
        assert None not in expected
        server.kill()
        outcomes = {"refused to start": 0, "error": 0, "right": 0}
        for number in range(DAMAGES):
            how = f"KALAM_DAMAGE_SEED={seed}, damage {number}"
            copy = tmp_path / "copy"
            shutil.copytree(server.directory, copy)
            how += ": " + damage(random.Random(f"{seed}/{number}"), copy / "data")
            damaged = Server(directory=copy)
            damaged.tokens = dict(token)
            try:
                damaged.start()
                found = answers(damaged)
                wrong = [sql for sql, rows, right in zip(QUERIES, found, expected) if rows not in (None, right)]
                assert not wrong, f"{how}: wrong rows for {wrong}"
                outcomes["error" if None in found else "right"] += 1
            except StartError as refused:
                assert refused.code == 1 and refused.stderr.strip(), f"{how}: {refused}"
                outcomes["refused to start"] += 1
            except AssertionError as failure:
                raise AssertionError(f"{how}: {failure}") from failure
            finally:
                damaged.kill()
            shutil.rmtree(copy)
        print(outcomes)
        assert all(outcomes.values()), outcomes
