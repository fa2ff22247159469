"""Live queries with ORDER BY … LIMIT and with aggregates: what a client makes of their messages is, after each commit, what
SELECT answers."""

import random
import threading

import pytest
from kalam_testlib import Server, ServerConfig, wait_until
from kalam_testlib.live_result import Result, check
from kalam_testlib.ws_client import change_row

TOP = "SELECT id, g, x FROM {t} WHERE b IS NOT FALSE ORDER BY x DESC NULLS LAST, v, id LIMIT 7"
GROUPS = (
    "SELECT g, count(*) AS n, count(x) AS xs, sum(x) AS total, avg(x) AS mean, min(x) AS low, max(v) AS high, "
    "sum(d) AS money, sum(f) AS real, count(*) FILTER (WHERE x > 50) AS large FROM {t} WHERE b IS NOT FALSE GROUP BY g"
)
WHOLE = "SELECT count(*) AS n, sum(x) AS total, min(f) AS low FROM {t}"
EXPRESSION = "SELECT x % 3 AS rest, upper(v) AS name, sum(x * 2 + 1) AS s FROM {t} GROUP BY 1, upper(v)"
MARKS = "SELECT id FROM {t} WHERE id >= 1000000 ORDER BY id DESC LIMIT 1"


def create(root, table, kind="SHARED"):
    root.run(
        f"CREATE {kind} TABLE {table} (id INT PRIMARY KEY, g INT, x INT, d DECIMAL(10,2), f DOUBLE, v TEXT, b BOOLEAN)"
    )


def value(chance, key=None):
    some = chance.choice
    return (
        f"({chance.randrange(60) if key is None else key}, {some((1, 2, 3, 'NULL'))}, {some((*range(0, 100, 9), 'NULL'))}, "
        f"{chance.randrange(-999, 999) / 100}, {some((0.1, 1e9, -3.25, 'NULL'))}, '{some('abcé')}', "
        f"{some(('true', 'false', 'NULL'))})"
    )


def statement(table, chance):
    rows = ", ".join(value(chance) for _ in range(3))
    kind = chance.randrange(8)
    if kind < 4:
        return f"INSERT INTO {table} VALUES {value(chance)} ON CONFLICT (id) DO UPDATE SET g = excluded.g, x = excluded.x, d = excluded.d, f = excluded.f, v = excluded.v, b = excluded.b"
    if kind == 4:
        return f"INSERT INTO {table} VALUES {rows} ON CONFLICT DO NOTHING"
    if kind == 5:
        return f"UPDATE {table} SET x = x + 1, g = {chance.choice((1, 2, 4))} WHERE id % 7 = {chance.randrange(7)}"
    if kind == 6:
        return f"DELETE FROM {table} WHERE id % 9 = {chance.randrange(9)}"
    return f"BEGIN; UPDATE {table} SET x = NULL WHERE id < 3; DELETE FROM {table} WHERE x > 90; UPDATE {table} SET b = NOT b WHERE id < 30; COMMIT"


def follow(ws, table, suffix=""):
    queries = [(TOP, ("id",)), (GROUPS, ("g",)), (WHOLE, ()), (EXPRESSION, ("rest", "name"))]
    made = []
    for number, (sql, keys) in enumerate(queries):
        sql = sql.format(t=table)
        made.append((sql, Result(ws.subscribe(f"r{number}{suffix}", sql), keys)))
    return made


class Marker:
    """Writes a row that its own live query tells of: what was committed before has reached all others of the socket."""

    def __init__(self, root, ws, table):
        self.root, self.ws, self.table = root, ws, table
        self.live = ws.subscribe("marks", MARKS.format(t=table)).ready()
        self.last = 1_000_000

    def wait(self, timeout_s=60):
        self.last += 1
        self.root.run(f"INSERT INTO {self.table} (id, b) VALUES ({self.last}, false)")
        self.ws.wait_for(lambda: (self.last,) in Result(self.live, ("id",)).rows(), "the mark", timeout_s=timeout_s)
        self.ws.round_trip(f"behind {self.last}")


@pytest.mark.parametrize("kind", ["SHARED", "USER"])
def test_each_commit_leads_to_what_select_answers(server, root, ns, kind):
    table, chance = f"{ns}.t", random.Random(7)
    create(root, table, kind)
    root.run(f"INSERT INTO {table} VALUES " + ", ".join(value(chance, 100 + i) for i in range(40)))
    with server.websocket(root) as ws:
        followed = follow(ws, table)
        for _, result in followed:
            result.live.ready()
        marker = Marker(root, ws, table)
        for step in range(60):
            root.run(statement(table, chance))
            if step == 30:
                root.flush(table)
            if step % 4 == 3:
                marker.wait()
                for sql, result in followed:
                    check(root, sql, result)
        joined = follow(ws, table, "-later")
        for sql, result in joined:
            result.live.ready()
            check(root, sql, result)
            assert result.live.ack["total_rows"] == len(result.live.rows)


def test_a_transaction_is_told_together(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    with server.websocket(root) as ws:
        live = ws.subscribe("n", f"SELECT g, sum(x) AS total FROM {table} GROUP BY g").ready()
        marker = Marker(root, ws, table)
        root.run(f"BEGIN; INSERT INTO {table} (id, g, x) VALUES (1, 1, 5); INSERT INTO {table} (id, g, x) VALUES (2, 1, 7); "
                 f"INSERT INTO {table} (id, g, x) VALUES (3, 2, 1); DELETE FROM {table} WHERE id = 3; COMMIT")
        marker.wait()
        told = [(m["change_type"], change_row(m)["g"], change_row(m)["total"]) for m in live.changes if change_row(m)["g"]]
        assert told == [("insert", 1, "12")]


def test_the_rows_behind_a_top_move_up(server, root, ns):
    """More rows go than are kept behind the first ones, so that they are read again."""
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, x, v) SELECT i, i, 'v' FROM range(5000) r(i)")
    sql = f"SELECT * FROM {table} WHERE x IS NOT NULL ORDER BY x LIMIT 5"
    with server.websocket(root) as ws:
        result = Result(ws.subscribe("top", sql).ready(), ("id",))
        assert [row["x"] for row in result.live.rows] == [0, 1, 2, 3, 4]
        marker = Marker(root, ws, table)
        for below in range(300, 4900, 300):
            root.run(f"DELETE FROM {table} WHERE x < {below}")
        marker.wait()
        expected = {(i,) for i in range(4800, 4805)}
        ws.wait_for(lambda: result.rows().keys() == expected, "the rows behind", timeout_s=30)
        check(root, sql, result)


def test_beside_writers_and_flushes(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    stopping, failures = threading.Event(), []

    def write(seed):
        chance, client = random.Random(seed), server.root()
        while not stopping.is_set():
            response = client.sql(statement(table, chance))
            if not response.ok and "onflict" not in response.message:
                failures.append(response)
                return

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    for writer in writers:
        writer.start()
    with server.websocket(root) as ws, server.websocket(root) as late:
        followed = follow(ws, table)
        for number in range(3):
            root.flush(table)
            followed_late = follow(late, table, f"-{number}")
            for _, result in followed_late:
                result.live.ready()
        stopping.set()
        for writer in writers:
            writer.join()
        assert not failures, failures[0]
        for _, result in followed:
            result.live.ready()
        for sql, result in followed + followed_late:
            wait_until(lambda: answers(root, sql, result), f"{sql}: the last change")


def answers(root, sql, result):
    try:
        check(root, sql, result)
        return True
    except AssertionError:
        return False


def test_alter_and_drop(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, g, x, v) VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c')")
    with server.websocket(root) as ws:
        everything = f"SELECT * FROM {table} ORDER BY x DESC LIMIT 2"
        groups = f"SELECT g, sum(x) AS total, max(x) AS high FROM {table} GROUP BY g"
        top = Result(ws.subscribe("top", everything).ready(), ("id",))
        sums = Result(ws.subscribe("sums", groups).ready(), ("g",))
        gone = ws.subscribe("gone", f"SELECT max(v) AS v FROM {table}").ready()
        root.run(f"ALTER TABLE {table} ADD COLUMN extra INT DEFAULT 5")
        ws.wait_for(lambda: len(top.live.of_type("subscription_ack")) == 2, "the new columns")
        assert "extra" in [field["name"] for field in top.live.of_type("subscription_ack")[1]["schema"]]
        root.run(f"INSERT INTO {table} (id, g, x, extra) VALUES (4, 2, 40, 6)")
        # Rows that were there are not told again.
        wait_until(lambda: top.rows().keys() == {(3,), (4,)}, "the top")
        assert top.rows()[(4,)]["extra"] == 6
        # The type of a key: all groups are others then.
        root.run(f"ALTER TABLE {table} ALTER COLUMN g TYPE BIGINT")
        wait_until(lambda: answers(root, groups, sums), "the groups")
        assert len(sums.live.of_type("subscription_ack")) == 2
        root.run(f"INSERT INTO {table} (id, g, x) VALUES (5, 1, 1)")
        wait_until(lambda: answers(root, groups, sums), "the groups")
        root.run(f"ALTER TABLE {table} DROP COLUMN v")
        assert ws.wait_error("gone", "INVALID_SQL")
        root.run(f"INSERT INTO {table} (id, g, x) VALUES (6, 1, 100)")
        wait_until(lambda: answers(root, groups, sums) and top.rows().keys() == {(4,), (6,)}, "both go on")
        root.run(f"DROP TABLE {table}")
        for name in ("top", "sums"):
            ws.wait_error(name, "TABLE_DROPPED")
        assert gone.of_type("error")


@pytest.mark.parametrize("query", ["?compress=false", "?serialization=msgpack"])
def test_a_client_that_stalls_comes_to_the_same_result(ns, query):
    config = ServerConfig(live={"queue_bytes_per_connection": 1 << 16}, websocket={"client_timeout_secs": 60})
    with Server(config) as server, server.websocket(server.root(), query=query, small_buffers=True) as ws:
        root = server.root()
        root.run("CREATE NAMESPACE s; CREATE SHARED TABLE s.t (id INT PRIMARY KEY, g INT, v TEXT)")
        top = "SELECT id, v FROM s.t ORDER BY id DESC LIMIT 40"
        groups = "SELECT g, count(*) AS n, max(v) AS high FROM s.t GROUP BY g"
        results = [(top, Result(ws.subscribe("top", top).ready(), ("id",))),
                   (groups, Result(ws.subscribe("groups", groups).ready(), ("g",)))]
        ws.reads.clear()
        body = "(SELECT string_agg(md5(CAST(random() AS TEXT)), '') FROM range(60))"
        for round_ in range(40):
            root.run(f"INSERT INTO s.t SELECT i, i % 50, md5(i::TEXT) || {body} FROM range({round_ * 50}, {round_ * 50 + 50}) r(i)")
        root.run("DELETE FROM s.t WHERE g = 3")
        assert int(root.value("SELECT metric_value FROM system.stats WHERE metric_name = 'live_lagged_total'")) >= 1
        ws.reads.set()
        for sql, result in results:
            ws.wait_for(lambda: answers(root, sql, result), sql, timeout_s=60)
            assert [m for m in result.live.of_type("error") if m["code"] == "LAGGED"]
        root.run("INSERT INTO s.t VALUES (100000, 3, 'after')")
        for sql, result in results:
            ws.wait_for(lambda: answers(root, sql, result), f"{sql}: live again", timeout_s=60)


def test_pages_and_no_rows_at_first(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, g) SELECT i, i FROM range(25) r(i)")
    sql = f"SELECT g, count(*) AS n FROM {table} GROUP BY g"
    with server.websocket(root) as ws:
        paged = Result(ws.subscribe("paged", sql, {"batch_size": 10}), ("g",))
        first = ws.wait_for(lambda: paged.live.batches, "the first batch")[0]
        assert len(first["rows"]) == 10 and first["batch_control"]["status"] == "loading"
        root.run(f"INSERT INTO {table} (id, g) VALUES (100, 3), (101, 77)")  # waits behind the batches
        paged.live.ready()
        assert [len(batch["rows"]) for batch in paged.live.batches] == [10, 10, 5]
        ws.wait_for(lambda: answers(root, sql, paged), "the change behind")
        bare = ws.subscribe("bare", sql, None).ready()
        root.run(f"DELETE FROM {table} WHERE g = 77")
        assert [m["change_type"] for m in bare.wait_changes(1)] == ["delete"]
        assert not bare.batches


REFUSED = [
    ("SELECT * FROM {t} ORDER BY x", "needs a LIMIT"),
    ("SELECT * FROM {t} ORDER BY x LIMIT 0", "a number from 1"),
    ("SELECT * FROM {t} ORDER BY x LIMIT 5 OFFSET 1", "without OFFSET"),
    ("SELECT * FROM {t} ORDER BY 1 LIMIT 5", "not their numbers"),
    ("SELECT * FROM {t} ORDER BY ALL LIMIT 5", "."),
    ("SELECT * FROM {t} ORDER BY random() LIMIT 5", "volatile"),
    ("SELECT * FROM {t} ORDER BY age(now(), TIMESTAMP '2020-01-01') LIMIT 5", "time"),
    ("SELECT * FROM {t} LIMIT 5", "supports only"),
    ("SELECT count(*) FROM {t} WHERE x > extract(epoch FROM now())", "time"),
    ("SELECT g, count(*) FROM {t}", "is neither"),
    ("SELECT count(*) FROM {t} GROUP BY g", "in its SELECT list"),
    ("SELECT g, count(*) FROM {t} GROUP BY ALL", "GROUP BY ALL"),
    ("SELECT g, count(*) FROM {t} GROUP BY ROLLUP (g)", "ROLLUP"),
    ("SELECT g, count(*) FROM {t} GROUP BY g HAVING count(*) > 1", "HAVING"),
    ("SELECT g, count(*) FROM {t} GROUP BY g ORDER BY g", "ORDER BY"),
    ("SELECT count(DISTINCT g) FROM {t}", "DISTINCT"),
    ("SELECT median(x) FROM {t}", "median"),
    ("SELECT sum(v) FROM {t}", "numbers only"),
    ("SELECT sum(b) FROM {t}", "numbers only"),
    ("SELECT count(*) + 1 FROM {t}", "is neither"),
    ("SELECT count(*) AS n, sum(x) AS n FROM {t}", "name of its own"),
    ("SELECT max(x) OVER () FROM {t}", "."),
    ("SELECT max((SELECT 1)) FROM {t}", "subqueries"),
]


@pytest.mark.parametrize("sql, message", REFUSED, ids=[sql for sql, _ in REFUSED])
def test_refused(server, root, ns, sql, message):
    create(root, f"{ns}.t")
    with server.websocket(root) as ws:
        ws.subscribe("s", sql.format(t=f"{ns}.t"))
        error = ws.wait_error("s", "INVALID_SQL")
        assert message in error["message"], error


def test_options_and_tables_that_cannot_be(server, root, ns):
    create(root, f"{ns}.t")
    root.run(f"CREATE STREAM TABLE {ns}.s (id INT PRIMARY KEY) WITH (TTL_SECONDS = 60)")
    with server.websocket(root) as ws:
        ws.subscribe("from", f"SELECT count(*) FROM {ns}.t", {"from": 5})
        ws.wait_error("from", "CURSOR_TOO_OLD")
        ws.subscribe("last", f"SELECT count(*) FROM {ns}.t", {"last_rows": 5})
        ws.wait_error("last", "UNSUPPORTED")
        ws.subscribe("stream", f"SELECT count(*) FROM {ns}.s")
        assert "STREAM" in ws.wait_error("stream", "INVALID_SQL")["message"]


def test_a_result_has_bounds():
    with Server(ServerConfig(live={"max_result_bytes": 1 << 16})) as server, server.websocket(server.root()) as ws:
        root = server.root()
        root.run("CREATE NAMESPACE b; CREATE SHARED TABLE b.t (id INT PRIMARY KEY, g INT)")
        groups = "SELECT g, count(*) AS n FROM b.t GROUP BY g"
        live = ws.subscribe("grows", groups).ready()
        root.run("INSERT INTO b.t SELECT i, i FROM range(50) r(i)")
        live.wait_changes(50)
        root.run("INSERT INTO b.t SELECT i, i FROM range(50, 5000) r(i)")
        ws.wait_error("grows", "RESULT_TOO_LARGE")
        ws.subscribe("large", groups)
        assert "live.max_result_bytes" in ws.wait_error("large", "RESULT_TOO_LARGE")["message"]
        last = ws.subscribe("last", "SELECT * FROM b.t WHERE id = 4999").ready()
        root.run("DELETE FROM b.t WHERE id > 10")
        last.wait_changes(1)  # else the many changes may come while the next result is read, which is too much for it
        ws.unsubscribe("last")
        assert len(ws.subscribe("small", groups).ready().rows) == 11
        wait_until(lambda: root.count("system.live") == 1, "those that ended are gone")


def test_sums_that_do_not_fit_and_numbers_that_are_none(server, root, ns):
    table = f"{ns}.t"
    root.run(f"CREATE SHARED TABLE {table} (id INT PRIMARY KEY, x BIGINT, f DOUBLE)")
    with server.websocket(root) as ws:
        sums = ws.subscribe("sums", f"SELECT sum(x) AS total FROM {table}").ready()
        real = Result(ws.subscribe("real", f"SELECT sum(f) AS total, count(f) AS n FROM {table}").ready(), ())
        root.run(f"INSERT INTO {table} VALUES (1, 1, 1e300), (2, 2, 1), (3, 3, 'NaN'), (4, 4, '-Infinity')")
        assert change_row(sums.wait_changes(1)[0])["total"] == "10"
        root.run(f"DELETE FROM {table} WHERE id IN (1, 3, 4)")
        ws.wait_for(lambda: real.rows()[()].get("total") == 1.0, "what was beside 1e300, NaN and infinity")
        root.run(f"INSERT INTO {table} VALUES (5, 9223372036854775807, NULL)")
        assert "DECIMAL" in ws.wait_error("sums")["message"]
        wide = ws.subscribe("wide", f"SELECT sum(CAST(x AS DECIMAL(38, 0))) AS total FROM {table}").ready()
        assert wide.rows[0]["total"] == "9223372036854775809"


def test_a_row_that_fails_is_left_out(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    with server.websocket(root) as ws:
        live = ws.subscribe("n", f"SELECT count(*) AS n FROM {table} WHERE CAST(v AS INT) > 0").ready()
        root.run(f"INSERT INTO {table} (id, v) VALUES (1, 'none'), (2, '5')")
        assert ws.wait_error("n", "CONVERSION_ERROR")
        root.run(f"DELETE FROM {table} WHERE id < 10")
        ws.wait_for(lambda: len(live.changes) == 2, "both changes")
        assert [change_row(change)["n"] for change in live.changes] == ["1", "0"]


def test_columns_are_called_as_in_a_select(server, root, ns):
    create(root, f"{ns}.t")
    sql = f"SELECT count(*), sum(x), max(v), g + 1, lower(v) FROM {ns}.t GROUP BY g + 1, lower(v)"
    with server.websocket(root) as ws:
        schema = ws.subscribe("s", sql).ready().ack["schema"]
        expected = root.result(sql)["schema"]
        assert [(f["name"], f["data_type"]) for f in schema[:-1]] == [(f["name"], f["data_type"]) for f in expected]
        assert [f["name"] for f in schema if "pk" in f.get("flags", [])] == [f["name"] for f in expected[3:]]


def test_many_subscribers_share_one_result(server, root, ns):
    table = f"{ns}.t"
    create(root, table)
    root.run(f"INSERT INTO {table} (id, g) SELECT i, i % 3 FROM range(3000) r(i)")
    sql = f"SELECT g, count(*) AS n FROM {table} GROUP BY g"
    with server.websocket(root) as ws:
        all_of = [Result(ws.subscribe(f"s{i}", sql), ("g",)) for i in range(50)]
        for result in all_of:
            result.live.ready()
            assert [row["n"] for row in result.live.rows] == ["1000"] * 3
        for result in all_of[10:20]:
            ws.unsubscribe(result.live.id)
        ws.round_trip()
        root.run(f"DELETE FROM {table} WHERE id = 1")
        for result in all_of[:10] + all_of[20:]:
            assert change_row(result.live.wait_changes(1)[0])["n"] == "999"
        assert not any(result.live.changes for result in all_of[10:20])
        assert root.count("system.live", f"WHERE table_name = 't' AND namespace_id = '{ns}'") == 40
