"""The real input of the main end-to-end test: shared/data/activity.jsonl beside the repository, or, where that file is not
there, generated events of the same shape."""

import datetime
import json
import random

from .server import REPOSITORY

PATH = REPOSITORY.parent / "shared/data/activity.jsonl"
EVENTS = 14024
MEMBERS = 1147
CHANNELS = 53
COLUMNS = ("event_id", "member", "channel", "body", "files_changed", "sent_at")
WORDS = (
    "Fix Add Don't remove the \"old\" compaction iterator; write batch, Überlauf in memtable – 修正 🚀 'quoted' cache "
    "filter block 100% a\\b backup statistics $1 test_case"
).split(" ")


def load():
    if PATH.exists():
        with open(PATH, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    return generate()


def generate(seed=2026):
    """Events in the order of their time, a few members and channels having most of them. The same every time."""
    chance = random.Random(seed)
    members = skewed(chance, "member_%04d", MEMBERS, 1.05)
    channels = skewed(chance, "store/part%02d", CHANNELS, 1.3)
    sent_at = datetime.datetime(2012, 8, 1, 23, 55, 39, tzinfo=datetime.timezone.utc)
    events = []
    for number in range(EVENTS):
        sent_at += datetime.timedelta(seconds=chance.randint(1, 62000))
        events.append(
            {
                "event_id": f"store-{(number * 2654435761 + seed) % (1 << 32):010x}",
                "member": members[number],
                "channel": channels[number],
                "body": " ".join(chance.choices(WORDS, k=chance.choice((1, 4, 8, 12, 60)))),
                "files_changed": min(889, int(chance.paretovariate(0.9)) - 1),
                "sent_at": sent_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    return events


def skewed(chance, pattern, count, exponent):
    """EVENTS names out of `count`, each at least once, the first ones far more often than the last."""
    all_names = [pattern % (number + 1) for number in range(count)]
    weights = [1 / (rank + 1) ** exponent for rank in range(count)]
    chosen = all_names + chance.choices(all_names, weights, k=EVENTS - count)
    chance.shuffle(chosen)
    return chosen


def micros(sent_at):
    """An event's time as the server stores and sends it: microseconds since the epoch."""
    time = datetime.datetime.strptime(sent_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return int(time.timestamp()) * 1_000_000


def stored(event):
    """The event's cells as a SELECT of COLUMNS answers them."""
    return tuple(micros(event[name]) if name == "sent_at" else event[name] for name in COLUMNS)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def values(events):
    """The events as the rows of a VALUES clause, in the order of COLUMNS."""
    return ", ".join(
        "(" + ", ".join(str(event[name]) if name == "files_changed" else quoted(event[name]) for name in COLUMNS) + ")"
        for event in events
    )


def columns_sql():
    return (
        "event_id TEXT PRIMARY KEY, member TEXT NOT NULL, channel TEXT NOT NULL, body TEXT, files_changed INT, "
        "sent_at TIMESTAMP NOT NULL"
    )
