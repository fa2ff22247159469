"""Many clients that change the same rows: nobody fails, no change is lost."""

import threading

from kalam_testlib import Server, ServerConfig

CLIENTS = 12
ROUNDS = 25


def run_all(server, work):
    """Runs `work(client, number)` on many connections at once; what went wrong."""
    failures = []
    start = threading.Barrier(CLIENTS)

    def one(number):
        try:
            client = server.root()
            start.wait()
            work(client, number)
        except BaseException as failure:  # Shown by the test.
            failures.append(failure)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_concurrent_increments_of_one_row():
    sql = "INSERT INTO u.counters VALUES ('c', 1) ON CONFLICT (name) DO UPDATE SET n = counters.n + 1 RETURNING n"
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE u; CREATE SHARED TABLE u.counters (name TEXT PRIMARY KEY, n INT)")
        seen = [[] for _ in range(CLIENTS)]

        def increment(client, number):
            for _ in range(ROUNDS):
                response = client.sql(sql)
                assert response.ok, response.message
                assert response.results[0]["row_count"] == 1
                seen[number].append(response.results[0]["rows"][0][0])

        assert run_all(server, increment) == []
        total = CLIENTS * ROUNDS
        assert root.rows("SELECT n FROM u.counters") == [[total]]
        # What each was told it had written was its own and nobody else's.
        assert sorted(value for values in seen for value in values) == list(range(1, total + 1))
        # The same on a row that lies in a segment.
        root.run("STORAGE FLUSH TABLE u.counters")
        assert run_all(server, increment) == []
        assert root.rows("SELECT n FROM u.counters") == [[2 * total]]


def test_concurrent_upserts_of_the_same_new_keys():
    with Server() as server:
        root = server.root()
        root.run("CREATE NAMESPACE u; CREATE SHARED TABLE u.t (id INT PRIMARY KEY, n INT, v INT)")

        def upsert(client, number):
            for key in range(ROUNDS):
                response = client.sql(
                    f"INSERT INTO u.t VALUES ({key}, 1, {number}), ({key + 1000}, 1, {number}) "
                    "ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n, v = excluded.v"
                )
                assert response.ok, response.message
                assert response.results[0]["row_count"] == 2

        assert run_all(server, upsert) == []
        assert root.rows("SELECT count(*), min(n), max(n) FROM u.t") == [[str(2 * ROUNDS), CLIENTS, CLIENTS]]
        # A statement is atomic: both its rows come from the same client.
        assert root.rows("SELECT count(*) FROM u.t a JOIN u.t b ON b.id = a.id + 1000 WHERE a.v <> b.v") == [["0"]]


def test_a_result_that_tells_of_a_commit_is_not_refused_for_its_size():
    with Server(ServerConfig(limits={"max_result_rows": 10})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE u; CREATE SHARED TABLE u.t (id INT PRIMARY KEY)")
        response = root.sql("INSERT INTO u.t SELECT i FROM range(50) r(i) RETURNING id")
        assert response.ok and len(response.results[0]["rows"]) == 50
        assert root.sql("SELECT id FROM u.t").code == "RESULT_TOO_LARGE"
