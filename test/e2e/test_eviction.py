"""The oldest rows of a STREAM table that is too large go, and the others stay."""

from kalam_testlib import Server, ServerConfig
from kalam_testlib.conditions import wait_until


def test_the_schedule_evicts():
    with Server(ServerConfig(stream={"eviction_interval_seconds": 1})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE e")
        root.run(
            "CREATE STREAM TABLE e.sized (id INT PRIMARY KEY, v TEXT) "
            "WITH (EVICTION_STRATEGY = 'size', MAX_STREAM_SIZE_BYTES = 100000)"
        )
        root.run("CREATE STREAM TABLE e.aged (id INT PRIMARY KEY, v TEXT) WITH (TTL_SECONDS = 3600)")
        for table in ("aged", "sized"):
            root.run(f"INSERT INTO e.{table} SELECT i, repeat('x', 1000) FROM generate_series(1, 150) AS s(i)")
        wait_until(lambda: root.count("e.sized") < 150, "an eviction by size")
        left = root.count("e.sized")
        assert 90 <= left < 100
        assert root.value("SELECT min(id) FROM e.sized") == 150 - left + 1  # the newest
        root.run("INSERT INTO e.sized VALUES (1, 'again')")
        assert root.value("SELECT v FROM e.sized WHERE id = 1") == "again"
        assert root.count("e.aged") == 150
