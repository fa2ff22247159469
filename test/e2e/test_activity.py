"""The main job on real input: 14,024 events of 1,147 members written while subscribers watch, moved to Parquet, changed,
restarted and killed; and at every stage the answers are right, for everyone."""

import collections
import hashlib
import json
import threading

import pytest
from kalam_testlib import GONE, Server, activity, wait_until
from kalam_testlib.ws_client import change_row

MEMBER = "member_0001"  # the busiest
OTHER = "member_0400"
CHANNEL_RANK = 2  # the third busiest channel is watched
EVENTS_AT_ONCE = 200
INBOX_AT_ONCE = 1000
SELECT = ", ".join(activity.COLUMNS)


def checksums(rows):
    """A checksum of each column over all rows, whatever their order."""
    rows = sorted(rows)
    return [
        hashlib.sha256(json.dumps([row[at] for row in rows]).encode()).hexdigest()
        for at in range(len(activity.COLUMNS))
    ]


def chunks(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


class Story:
    """The database and what must be in it: `events` and `inbox` map event ids to stored tuples."""

    def __init__(self, server):
        self.server = server
        self.root = server.root()
        self.loaded = activity.load()
        by_size = [name for name, _ in collections.Counter(event["channel"] for event in self.loaded).most_common()]
        self.channel = by_size[CHANNEL_RANK]
        self.events = {}
        self.inbox = collections.defaultdict(dict)

    def create(self):
        self.root.run("CREATE NAMESPACE activity")
        self.root.run(f"CREATE SHARED TABLE activity.events ({activity.columns_sql()}) WITH (ACCESS_LEVEL = 'PUBLIC')")
        self.root.run(f"CREATE USER TABLE activity.inbox ({activity.columns_sql()})")
        self.member = self.server.create_user(MEMBER)
        self.other = self.server.create_user(OTHER)

    def load_events(self, client):
        for chunk in chunks(self.loaded, EVENTS_AT_ONCE):
            assert client.affected(f"INSERT INTO activity.events VALUES {activity.values(chunk)}") == len(chunk)
            self.events.update((event["event_id"], activity.stored(event)) for event in chunk)

    def load_inbox(self, client):
        for chunk in chunks(self.loaded, INBOX_AT_ONCE):
            of_member = collections.defaultdict(list)
            for event in chunk:
                of_member[event["member"]].append(event)
            for members in chunks(list(of_member.items()), 100):
                client.run(
                    "; ".join(
                        f"EXECUTE AS USER '{member}' (INSERT INTO activity.inbox VALUES {activity.values(events)})"
                        for member, events in members
                    )
                )
            for member, events in of_member.items():
                self.inbox[member].update((event["event_id"], activity.stored(event)) for event in events)

    def check(self):
        """Counts and a checksum of every column, of the shared table and of some inboxes; and nobody sees more."""
        found = [tuple(row) for row in self.root.rows(f"SELECT {SELECT} FROM activity.events")]
        assert len(found) == len(self.events)
        assert checksums(found) == checksums(self.events.values())
        rows = self.root.rows(
            "SELECT COUNT(*), COUNT(DISTINCT event_id), COUNT(DISTINCT member), COUNT(DISTINCT channel), "
            "SUM(files_changed), SUM(LENGTH(body)), MIN(sent_at), MAX(sent_at) FROM activity.events"
        )
        kept = list(self.events.values())
        assert rows == [
            [
                str(len(kept)),
                str(len(kept)),
                str(len({row[1] for row in kept})),
                str(len({row[2] for row in kept})),
                str(sum(row[4] for row in kept)),
                str(sum(len(row[3]) for row in kept)),
                min(row[5] for row in kept),
                max(row[5] for row in kept),
            ]
        ]
        for client, name in ((self.member, MEMBER), (self.other, OTHER)):
            self.check_member(client, name)
        assert self.root.rows("SELECT * FROM activity.inbox") == []
        for name in ("member_0003", "member_1147", "member_0777"):
            rows = self.root.rows(f"EXECUTE AS USER '{name}' (SELECT {SELECT} FROM activity.inbox)")
            assert checksums(map(tuple, rows)) == checksums(self.inbox[name].values()), name

    def check_member(self, client, name):
        """A member sees exactly their rows, by any SELECT."""
        own = self.inbox[name]
        expected = checksums(own.values())
        for sql in (
            f"SELECT {SELECT} FROM activity.inbox",
            f"WITH x AS (SELECT * FROM activity.inbox) SELECT {SELECT} FROM x",
            f"SELECT {', '.join('i.' + column for column in activity.COLUMNS)} FROM activity.inbox i "
            "LEFT JOIN activity.events e USING (event_id)",
            f"SELECT {SELECT} FROM activity.inbox WHERE event_id IN (SELECT event_id FROM activity.inbox) OR TRUE",
        ):
            assert checksums([tuple(row) for row in client.rows(sql)]) == expected, sql
        assert client.rows("SELECT COUNT(*), COUNT(DISTINCT member) FROM activity.inbox") == [[str(len(own)), "1"]]
        key = sorted(own)[len(own) // 2]
        assert [
            tuple(row) for row in client.rows(f"SELECT {SELECT} FROM activity.inbox WHERE event_id = $1", [key])
        ] == [own[key]]
        foreign = next(event["event_id"] for event in self.loaded if event["member"] not in (MEMBER, OTHER))
        assert client.rows("SELECT * FROM activity.inbox WHERE event_id = $1", [foreign]) == []


@pytest.fixture(scope="module")
def story():
    with Server() as server:
        yield Story(server)


def columns_of(row):
    return tuple(row.get(name) for name in activity.COLUMNS)


def check_watched(live, expected):
    """Everything came once, as an insert with its right values, in `_seq` order."""
    live.wait_changes(len(expected))
    assert all(change["change_type"] == "insert" for change in live.changes)
    rows = [change_row(change) for change in live.changes]
    seqs = [int(row["_seq"]) for row in rows]
    assert seqs == sorted(set(seqs))
    assert [row["event_id"] for row in rows] == [event["event_id"] for event in expected], "in the order of writing"
    assert [columns_of(row) for row in rows] == [activity.stored(event) for event in expected]


def in_threads(*works):
    failures = []

    def guarded(work):
        try:
            work()
        except BaseException as failure:  # Shown by the caller's assertion.
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_1_load_while_subscribers_watch(story):
    story.create()
    watched = {}
    sockets = []
    for name, client, sql in (
        ("everything", story.root, "SELECT * FROM activity.events"),
        ("channel", story.other, f"SELECT * FROM activity.events WHERE channel = '{story.channel}'"),
        ("inbox", story.member, "SELECT * FROM activity.inbox"),
        ("channel of inbox", story.member, f"SELECT * FROM activity.inbox WHERE channel = '{story.channel}'"),
        ("nobody's", story.root, "SELECT * FROM activity.inbox"),
    ):
        ws = story.server.websocket(client)
        sockets.append(ws)
        watched[name] = ws.subscribe(name, sql)
        assert watched[name].wait_ready() == []
    in_threads(lambda: story.load_events(story.server.root()), lambda: story.load_inbox(story.server.root()))
    mine = [event for event in story.loaded if event["member"] == MEMBER]
    check_watched(watched["everything"], story.loaded)
    check_watched(watched["channel"], [event for event in story.loaded if event["channel"] == story.channel])
    check_watched(watched["inbox"], mine)
    check_watched(watched["channel of inbox"], [event for event in mine if event["channel"] == story.channel])
    sockets[-1].round_trip()
    assert watched["nobody's"].changes == []
    for ws in sockets:
        ws.close()
    assert len(story.events) == activity.EVENTS and len(story.inbox) == activity.MEMBERS
    story.check()


def test_2_flush(story):
    story.root.flush("activity.events")
    # A segment for each of 1,147 members, each synced to disk: on a slow disk this takes a while.
    story.root.flush("activity.inbox", timeout_s=180)
    storage = story.server.data_path / "storage/activity"
    assert len(list(storage.glob("events/*.parquet"))) >= 1
    assert {path.parent.name for path in storage.glob("inbox/*/*.parquet")} == set(story.inbox)
    story.check()


def test_3_update_and_delete_of_flushed_rows(story):
    with story.server.websocket(story.member) as ws:
        live = ws.subscribe("s", "SELECT * FROM activity.inbox", None)
        live.wait_ack()
        # By key, by predicate, in both tables.
        keys = sorted(story.events)
        for key in keys[:20]:
            row = story.events[key]
            assert story.root.affected("UPDATE activity.events SET body = $1 WHERE event_id = $2", ["edited", key]) == 1
            story.events[key] = (*row[:3], "edited", *row[4:])
        in_channel = {key: row for key, row in story.events.items() if row[2] == story.channel}
        assert story.root.affected(
            "UPDATE activity.events SET files_changed = files_changed + 1000 WHERE channel = $1", [story.channel]
        ) == len(in_channel)
        for key, row in in_channel.items():
            story.events[key] = (*row[:4], row[4] + 1000, row[5])
        busy = [key for key, row in story.events.items() if row[4] == 0]
        assert story.root.affected("DELETE FROM activity.events WHERE files_changed = 0") == len(busy)
        for key in busy:
            del story.events[key]
        own = story.inbox[MEMBER]
        changed = [key for key, row in own.items() if row[4] > 10]
        assert story.member.affected("UPDATE activity.inbox SET body = UPPER(channel) WHERE files_changed > 10") == len(
            changed
        )
        for key in changed:
            own[key] = (*own[key][:3], own[key][2].upper(), *own[key][4:])
        gone = sorted(own)[::7]
        listed = ", ".join(map(activity.quoted, gone))
        assert story.member.affected(f"DELETE FROM activity.inbox WHERE event_id IN ({listed})") == len(gone)
        for key in gone:
            del own[key]
        live.wait_changes(len(changed) + len(gone))
        kinds = collections.Counter(change["change_type"] for change in live.changes)
        assert kinds == {"update": len(changed), "delete": len(gone)}
        assert {change_row(change)["event_id"] for change in live.changes if change["change_type"] == "delete"} == set(
            gone
        )
    story.check()


def test_4_restart(story):
    story.server.restart()
    story.check()
    with story.server.websocket(story.member) as ws:
        live = ws.subscribe("s", "SELECT * FROM activity.inbox", {"batch_size": 100})
        rows = live.wait_ready()
        assert checksums([columns_of(row) for row in rows]) == checksums(story.inbox[MEMBER].values())


def test_5_kill_in_the_middle_of_a_second_load(story):
    """The same events again under other ids, in both tables; the server is killed on the way; what was acknowledged is
    there, the rest of the load is not or is whole, and the first load is as it was."""
    acknowledged, sent = set(), {}
    lock = threading.Lock()

    def load(part):
        client = story.server.root()
        try:
            for chunk in chunks(part, 20):
                for event in chunk:
                    sent[event["event_id"]] = event
                answer = client.sql(f"INSERT INTO activity.events VALUES {activity.values(chunk)}")
                assert answer.ok or answer.status == 503, answer
                if answer.ok:
                    with lock:
                        acknowledged.update(event["event_id"] for event in chunk)
        except GONE:
            pass

    second = [{**event, "event_id": "again-" + event["event_id"]} for event in story.loaded]
    threads = [threading.Thread(target=load, args=(part,)) for part in (second[0::2], second[1::2])]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) >= 1000, "a good part of the second load")
    story.server.process.kill()
    for thread in threads:
        thread.join()
    story.server.crash()
    assert len(acknowledged) < len(second), "it was killed in the middle"
    found = {row[0] for row in story.root.rows("SELECT event_id FROM activity.events WHERE event_id LIKE 'again-%'")}
    assert acknowledged <= found, f"{len(acknowledged - found)} acknowledged rows are missing"
    assert found <= set(sent), "rows that nobody wrote"
    for part in (second[0::2], second[1::2]):
        for chunk in chunks(part, 20):
            there = sum(event["event_id"] in found for event in chunk)
            assert there in (0, len(chunk)), "half of a statement"
    story.events.update((key, activity.stored(sent[key])) for key in found)
    story.check()
    # The load is repeated, safely.
    for chunk in chunks(second, 500):
        story.root.run(f"INSERT INTO activity.events VALUES {activity.values(chunk)} ON CONFLICT DO NOTHING")
    story.events.update((event["event_id"], activity.stored(event)) for event in second)
    story.check()
    story.root.flush("activity.events")
    story.server.restart()
    story.check()
