"""Transactions from several clients at once, beside flushes, subscribers and kills; their limits."""

import random
import threading

import pytest
from kalam_testlib import Server, wait_until
from kalam_testlib.server import ServerConfig
from kalam_testlib.ws_client import change_row

ACCOUNTS = 8
TOTAL = ACCOUNTS * 100


def transfer(client, chance):
    """Moves an amount between two accounts; False when somebody else was faster."""
    source, target = chance.sample(range(ACCOUNTS), 2)
    amount = chance.randrange(1, 20)
    response = client.sql(
        f"BEGIN; UPDATE bank.accounts SET balance = balance - {amount} WHERE id = {source};"
        f" UPDATE bank.accounts SET balance = balance + {amount} WHERE id = {target};"
        f" INSERT INTO bank.log (source, target, amount) VALUES ({source}, {target}, {amount}); COMMIT"
    )
    if response.status == 503:
        raise ConnectionError("the server is going down")
    assert response.ok or "run the whole transaction again" in response.message, response
    return response.ok


@pytest.fixture
def bank():
    with Server() as server:
        root = server.root()
        rows = ", ".join(f"({id}, 100)" for id in range(ACCOUNTS))
        root.run(
            "CREATE NAMESPACE bank; CREATE SHARED TABLE bank.accounts (id INT PRIMARY KEY, balance BIGINT);"
            "CREATE USER TABLE bank.log (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), source INT, target INT, amount INT);"
            f"INSERT INTO bank.accounts VALUES {rows}"
        )
        yield server, root


def check(root, done):
    assert int(root.value("SELECT sum(balance) FROM bank.accounts")) == TOTAL
    assert done[0] <= root.count("bank.log") <= done[1]
    wrong = root.rows(
        "SELECT a.id, a.balance, 100 + coalesce(i.amount, 0) - coalesce(o.amount, 0) AS wanted FROM bank.accounts a"
        " LEFT JOIN (SELECT target AS id, sum(amount) AS amount FROM bank.log GROUP BY target) i USING (id)"
        " LEFT JOIN (SELECT source AS id, sum(amount) AS amount FROM bank.log GROUP BY source) o USING (id)"
        " WHERE a.balance <> wanted"
    )
    assert wrong == []


def test_concurrent_transfers(bank):
    """Nothing is lost or made: neither in the end nor in any moment that somebody reads."""
    server, root = bank
    failures, done = [], []
    over = threading.Event()

    def guarded(work):
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    def writer(number):
        client, chance = server.root(), random.Random(number)
        for _ in range(60):
            while not transfer(client, chance):
                pass
            done.append(1)

    def reader():
        client = server.root()
        while not over.is_set():
            assert int(client.value("SELECT sum(balance) FROM bank.accounts")) == TOTAL
            first, second = (
                result["rows"]
                for result in client.run(
                    "BEGIN; SELECT id, balance FROM bank.accounts ORDER BY id;"
                    " SELECT id, balance FROM bank.accounts ORDER BY id; COMMIT"
                )[1:3]
            )
            assert first == second

    def flusher():
        client = server.root()
        while not over.is_set():
            client.flush("bank.accounts")

    writers = [threading.Thread(target=guarded, args=(lambda n=n: writer(n),)) for n in range(3)]
    others = [threading.Thread(target=guarded, args=(work,)) for work in (reader, flusher)]
    for thread in (*writers, *others):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    for thread in others:
        thread.join()
    assert failures == []
    check(root, (len(done), len(done)))


def test_kill_between_commits(bank):
    """kill -9 leaves each transaction whole or not there."""
    server, root = bank
    chance = random.Random(7)
    acknowledged = [0] * 3
    attempts = [0] * 3

    def writer(number, seed):
        client, own = server.root(), random.Random(seed)
        try:
            while True:
                attempts[number] += 1
                acknowledged[number] += transfer(client, own)
        except (OSError, ConnectionError):
            pass
        except AssertionError as failure:
            if server.is_alive():
                raise failure

    for round_number in range(3):
        writers = [threading.Thread(target=writer, args=(n, 10 * round_number + n)) for n in range(3)]
        for thread in writers:
            thread.start()
        enough = sum(acknowledged) + 20 + chance.randrange(20)
        wait_until(lambda: sum(acknowledged) >= enough, "transfers")
        server.process.kill()
        for thread in writers:
            thread.join()
        server.crash()
        check(root, (sum(acknowledged), sum(attempts)))


def test_first_committer_wins(bank):
    """Of increments that read the same version only one is applied; none is lost when the others run again."""
    server, root = bank
    failures = []

    def writer():
        client = server.root()
        for _ in range(25):
            while True:
                response = client.sql(
                    "BEGIN; UPDATE bank.accounts SET balance = balance + 1 WHERE id = 0;"
                    " UPDATE bank.accounts SET balance = balance + 1 WHERE id = 1; COMMIT"
                )
                if response.ok:
                    break
                if "run the whole transaction again" not in response.message:
                    failures.append(response)
                    return

    threads = [threading.Thread(target=writer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert root.rows("SELECT balance FROM bank.accounts WHERE id < 2 ORDER BY id") == [["200"], ["200"]]


def test_subscribers_see_a_commit_whole(bank):
    """One change for each row, with the values of the commit, and nothing of what was rolled back."""
    server, root = bank
    with server.websocket(root) as ws:
        live = ws.subscribe("a", "SELECT id, balance FROM bank.accounts")
        live.wait_ready()
        root.run(
            "BEGIN; UPDATE bank.accounts SET balance = 1 WHERE id = 0; UPDATE bank.accounts SET balance = 2 WHERE id = 0;"
            " INSERT INTO bank.accounts VALUES (50, 1); DELETE FROM bank.accounts WHERE id = 50;"
            " DELETE FROM bank.accounts WHERE id = 1; ROLLBACK;"
            "BEGIN; UPDATE bank.accounts SET balance = 3 WHERE id = 0; UPDATE bank.accounts SET balance = 4 WHERE id = 0;"
            " INSERT INTO bank.accounts VALUES (51, 1); DELETE FROM bank.accounts WHERE id = 51;"
            " INSERT INTO bank.accounts VALUES (52, 5); DELETE FROM bank.accounts WHERE id = 1; COMMIT"
        )
        live.wait_changes(3)
        ws.round_trip()
        assert [(change["change_type"], change_row(change)["id"]) for change in live.changes] == [
            ("update", 0),
            ("insert", 52),
            ("delete", 1),
        ]
        assert change_row(live.changes[0])["balance"] == "4"


RECREATED = "CREATE SHARED TABLE bank.t (id INT PRIMARY KEY, v TEXT)"


@pytest.mark.parametrize(
    "change, again",
    [
        (f"DROP TABLE bank.t; {RECREATED}", "SELECT count(*) FROM bank.t"),
        (f"DROP TABLE bank.t; {RECREATED}", "INSERT INTO bank.t (id) VALUES (2)"),
        (f"ALTER TABLE bank.t RENAME TO u; {RECREATED}", "SELECT v FROM bank.t WHERE id = 1"),
        ("DROP TABLE bank.t", "SELECT count(*) FROM bank.t"),
        ("DROP TABLE bank.t", "UPDATE bank.t SET v = 'b' WHERE id = 1"),
        ("ALTER TABLE bank.t RENAME TO u", "SELECT v FROM bank.t WHERE id = 1"),
        ("ALTER TABLE bank.t ADD COLUMN w INT DEFAULT 7", "SELECT * FROM bank.t"),
        ("ALTER TABLE bank.t ADD COLUMN w INT DEFAULT 7", "UPDATE bank.t SET v = 'b' WHERE id = 1"),
    ],
)
def test_definitions_are_those_of_begin(bank, change, again):
    """Between two statements of a transaction another client changes what the table is."""
    server, root = bank
    root.run("CREATE SHARED TABLE bank.t (id INT PRIMARY KEY, v TEXT); INSERT INTO bank.t VALUES (1, 'a')")
    responses = []
    slow = "SELECT count(*) FROM range(20000) a, range(10000) b WHERE a.range + b.range = -1;"
    sql = f"BEGIN; SELECT v FROM bank.t WHERE id = 1; {slow} {again}; COMMIT"
    client = threading.Thread(target=lambda: responses.append(server.root().sql(sql)))
    client.start()
    wait_until(lambda: root.count("system.transactions") == 1, "the transaction")
    root.run(change)
    client.join()
    # If the change came after the last statement, there is nothing to see, and no table was confused with another.
    [response] = responses
    if not response.ok:
        assert "created, altered or dropped after it began; run the whole transaction again" in response.message, response
        assert response.json["results"][1]["rows"] == [["a"]]
    else:
        assert "INSERT" not in again and "UPDATE" not in again


def test_limits():
    config = ServerConfig(transaction_timeout_secs=1, max_transaction_buffer_bytes=100_000)
    with Server(config) as server:
        root = server.root()
        root.run("CREATE NAMESPACE l; CREATE SHARED TABLE l.t (id INT PRIMARY KEY, v TEXT)")
        fits = "BEGIN; INSERT INTO l.t SELECT range, 'x' FROM range({n}); COMMIT; DELETE FROM l.t WHERE true"
        root.run(fits.format(n=100))
        root.fails(
            fits.format(n=1000),
            "Statement 2 failed: .*transaction '[0-9a-f-]{36}' exceeded buffer limit of 100000 bytes and was aborted",
        )
        assert root.count("l.t") == 0
        slow = "SELECT count(*) FROM range(20000) a, range(10000) b WHERE a.range + b.range = -1;"
        root.fails(
            f"BEGIN; INSERT INTO l.t VALUES (1, 'a'); {slow * 30} COMMIT",
            "transaction '.*' was open for more than 1 s",
        )
        assert root.count("l.t") == 0


def test_one_insert_is_bounded():
    with Server(ServerConfig(limits={"max_statement_bytes": 1 << 20})) as server:
        root = server.root()
        root.run("CREATE NAMESPACE l; CREATE USER TABLE l.t (id INT PRIMARY KEY, v TEXT)")
        root.run("INSERT INTO l.t SELECT range, 'x' FROM range(1000)")
        root.fails("INSERT INTO l.t SELECT range, 'x' FROM range(1000, 2000000)", "limits.max_statement_bytes")
        assert root.count("l.t") == 1000


def test_open_transactions_are_shown(bank):
    server, root = bank
    begin = "BEGIN; UPDATE bank.accounts SET balance = 0 WHERE id < 3; INSERT INTO bank.log (source) VALUES (1);"
    results = root.run(f"{begin} SELECT * FROM system.transactions; ROLLBACK")
    [row] = results[3]["rows"]
    shown = dict(zip([field["name"] for field in results[3]["schema"]], row))
    assert shown["transaction_id"] in results[0]["message"] and shown["owner_id"].startswith("sql-req-")
    assert (shown["origin"], shown["state"]) == ("SqlBatch", "open_write")
    assert (shown["write_count"], shown["touched_tables_count"]) == ("4", "2")
    assert int(shown["write_bytes"]) > 0 and int(shown["snapshot_commit_seq"]) > 0
    assert root.rows("SELECT * FROM system.transactions") == []


def test_errors_tell_users_no_more_than_elsewhere(bank):
    """An error inside a transaction tells a user no more than elsewhere, and the session goes on."""
    server, root = bank
    user = server.user("tara")
    user.fails("BEGIN; SELECT * FROM bank.missing; COMMIT", "^SQL statement failed$")
    user.fails("BEGIN; INSERT INTO bank.log (source) VALUES (1)", "Request completed with an open explicit transaction")
    assert user.count("bank.log") == 0
    response = user.sql("BEGIN; INSERT INTO bank.log (source) VALUES (1); COMMIT; SELECT nonsense FROM bank.log")
    assert not response.ok and len(response.json["results"]) == 3
    assert user.count("bank.log") == 1
