"""Bugs planted between a server and the checker: each makes the messages of a history wrong as a mistake in the server
would. It returns whether it found a place for that."""

import copy

from .history import ENDS, is_catch_up_row, seq_of
from .writers import TABLES

REPEATS = 3  # how often each is tried in a run, at other places


def thin_copy(history):
    """With lists of messages of its own; the messages are shared, and are copied by who changes one."""
    history = copy.copy(history)
    history.commits = list(history.commits)
    history.subscriptions = [copy.copy(one) for one in history.subscriptions]
    for one in history.subscriptions:
        one.sessions = [copy.copy(session) for session in one.sessions]
        for session in one.sessions:
            session.messages = list(session.messages)
    return history


def is_lasting(one):
    """Of such a live query, all that has come is checked in the end."""
    return one.table in TABLES and one.last_rows is None


def stretches(history, only=is_lasting):
    """(subscription, session, the positions of its changes that surely are live ones), one after the other in it."""
    found = []
    for one in history.subscriptions:
        for session in filter(lambda session: only(one), one.sessions):
            live = []
            for position, message in enumerate(session.messages):
                if message.get("code") in ENDS:
                    continue
                if message["type"] in ("error", "initial_data_batch") or is_catch_up_row(message):
                    live = []
                elif message["type"] == "change" and (live or message["change_type"] != "delete"):
                    live.append(position)
            if live:
                found.append((one, session, live))
    return found


def place(history, chance, matches, count=1, only=is_lasting):
    """A session, and where `count` live changes that follow each other match; None if there is no such place."""
    found = [
        (session, live[i])
        for _, session, live in stretches(history, only)
        for i in range(len(live) - count + 1)
        if live[i + count - 1] == live[i] + count - 1 and matches(*session.messages[live[i] : live[i] + count])
    ]
    return chance.choice(found) if found else (None, None)


def resumes(history):
    """(session, where its rows are, where its deletes are), for all resumes that got to the end of it."""
    for one in history.subscriptions:
        for session in (session for session in one.sessions if session.cursor is not None):
            rows = [i for i, m in enumerate(session.messages) if m["type"] == "initial_data_batch"]
            if rows and not session.messages[rows[-1]]["batch_control"]["has_more"]:
                yield session, rows, [i for i in range(rows[-1]) if session.messages[i]["type"] == "change"]


def change(session, position):
    """The message there, as one that may be changed."""
    session.messages[position] = copy.deepcopy(session.messages[position])
    return session.messages[position]


def drop_all(session, positions):
    """Those messages; `positions` ascend."""
    for position in reversed(positions):
        del session.messages[position]


def value_of(message):
    return (message.get("rows") or message["old_values"])[0].get("v")


def drop(kind):
    def plant(history, chance):
        session, at = place(history, chance, lambda m: m["change_type"] == kind)
        if session:
            del session.messages[at]
        return bool(session)

    return plant


def swap(history, chance):
    session, at = place(history, chance, lambda a, b: True, 2)
    if session:
        session.messages[at : at + 2] = reversed(session.messages[at : at + 2])
    return bool(session)


def twice(history, chance):
    session, at = place(history, chance, lambda m: True)
    if session:
        session.messages.insert(at, session.messages[at])
    return bool(session)


def is_one_commit(*changes):
    """Of one statement, for which its value stands."""
    values = {value_of(change) for change in changes}
    return len(values) == 1 and all(change["change_type"] == "insert" for change in changes)


def half_a_commit(history, chance):
    session, at = place(history, chance, is_one_commit, 2)
    if session:
        del session.messages[at + chance.randrange(2)]
    return bool(session)


def split_commit(history, chance):
    """Its second row comes behind the next commit, with a `_seq` that seems right."""
    commits = enumerate(history.commits)
    commit_of = {row[3]: number for number, commit in commits for row in commit.rows + commit.contended if row[3]}

    def has_next(a, b, c):
        return is_one_commit(a, b) and "rows" in c and commit_of[value_of(a)] != commit_of[value_of(c)]

    session, at = place(history, chance, has_next, 3)
    if session:
        late = change(session, at + 1)
        late["rows"][0]["_seq"] = str(seq_of(session.messages[at + 2]) + 1)
        session.messages[at + 1 : at + 3] = [session.messages[at + 2], late]
    return bool(session)


def other_group(history, chance):
    """A change that a filter does not take comes to its subscribers."""
    found = []
    for taker, session, live in stretches(history, lambda one: is_lasting(one) and one.below is not None):
        low, high = (seq_of(session.messages[live[i]]) for i in (0, -1))
        for giver, source, positions in stretches(history, lambda one: one.columns == "*" and one.below is None):
            for message in (source.messages[position] for position in positions):
                is_between = message["change_type"] == "insert" and low < seq_of(message) < high
                if giver.table == taker.table and is_between and not taker.matches(message["rows"][0]["g"]):
                    at = next(i for i in live if seq_of(session.messages[i]) > seq_of(message))
                    found.append((session, at, message))
    session, at, message = chance.choice(found) if found else (None, None, None)
    if session:
        session.messages.insert(at, message)
    return bool(session)


def other_group_altogether(history, chance):
    """All that one filter takes comes to the subscribers of another."""
    found = [
        (one, other)
        for one in history.subscriptions
        for other in history.subscriptions
        if other.table == one.table and other.columns == "*" and other.below is None and has_others(other, one)
    ]
    one, other = chance.choice(found) if found else (None, None)
    if one:
        one.sessions = other.sessions
    return bool(one)


def has_others(other, one):
    """Whether rows came to the other that are not in the filter of `one`."""
    rows = (row for session in other.sessions for message in session.messages for row in message.get("rows", []))
    return any(not one.matches(row.get("g")) for row in rows)


def other_user(kind):
    """A change of somebody else's rows in a table of that kind."""

    def plant(history, chance):
        def of(user):
            return lambda one: one.user == user and history.tables[one.table] == kind

        session, at = place(history, chance, lambda m: True, only=of("ann"))
        source, position = place(history, chance, lambda m: "rows" in m, only=of("ben"))
        if session and source:
            session.messages.insert(at, source.messages[position])
        return bool(session and source)

    return plant


def lose_deletes_of_resumes(history, chance):
    found = False
    for session, _, deletes in resumes(history):
        found = found or len(deletes) > 0
        drop_all(session, deletes)
    return found


def skip_to_boundary(history, chance):
    """Resumes begin where they should end."""
    found = False
    for session, rows, deletes in resumes(history):
        for position in rows:
            found = found or bool(session.messages[position]["rows"])
            change(session, position)["rows"] = []
        drop_all(session, deletes)
    return found


def lose_a_row_of_resumes(history, chance):
    """A batch that begins behind its first row."""
    found = False
    for session, rows, _ in resumes(history):
        for position in rows:
            found = found or bool(session.messages[position]["rows"])
            del change(session, position)["rows"][:1]
    return found


def resume_too_early(history, chance):
    """The row that the cursor names comes again."""
    for one in history.subscriptions:
        for session in (session for session in one.sessions if session.cursor is not None and session.messages):
            for row in (row for other in one.sessions for m in other.messages for row in m.get("rows", [])):
                at = next((i for i, m in enumerate(session.messages) if m["type"] == "initial_data_batch"), None)
                if int(row["_seq"]) == session.cursor and at is not None:
                    change(session, at)["rows"].insert(0, row)
                    return True
    return False


def stale_old_row(history, chance):
    """The old values are those of an earlier version."""
    session, at = place(history, chance, lambda m: m["change_type"] == "update")
    if session:
        old = change(session, at)["old_values"][0]
        old["_seq"] = str(int(old["_seq"]) - 1)
    return bool(session)


def stale_row(history, chance):
    """A change with the row as it was before."""
    session, at = place(history, chance, lambda m: m["change_type"] == "update" and "v" in m["old_values"][0])
    if session:
        message = change(session, at)
        message["rows"][0]["v"] = message["old_values"][0]["v"]
    return bool(session)


def lose_stream_delete(history, chance):
    """Of which another subscriber was told, of a row that this one had, and not the last change: that may be cut."""
    found = []
    deletes = [
        (one, session, at, at < live[-1] and one.last_rows is None)
        for one, session, live in stretches(history, lambda one: history.tables[one.table] == "STREAM")
        for at in live
        if session.messages[at]["change_type"] == "delete"
    ]
    for one, session, at, may_go in deletes:
        seq = seq_of(session.messages[at])
        if may_go and any(o is not one and seq_of(s.messages[i]) == seq for o, s, i, _ in deletes):
            found.append((session, at))
    session, at = chance.choice(found) if found else (None, None)
    if session:
        del session.messages[at]
    return bool(session)


def last_rows_without_the_newest(history, chance):
    """As if one less had been asked for, and the newest were not among them."""
    for one, session, live in stretches(history, lambda one: one.last_rows):
        for at in range(live[0]) if session.cursor is None else ():
            rows = session.messages[at].get("rows", [])
            if session.messages[at]["type"] == "initial_data_batch" and len(rows) == one.last_rows > 1:
                change(session, at)["rows"].pop()
                one.last_rows -= 1
                return True
    return False


def last_rows_too_many(history, chance):
    for one in history.subscriptions:
        for session in (session for session in one.sessions if one.last_rows and session.cursor is None):
            if any(len(message.get("rows", [])) == one.last_rows for message in session.messages):
                one.last_rows -= 1
                return True
    return False


def lost_update(history, chance):
    """Of two who update a row, the second has not seen what the first did."""
    replaced = {row[3]: row[4] for commit in history.commits for row in commit.contended if row[3]}
    found = [
        (number, place)
        for number, commit in enumerate(history.commits)
        for place, (_, _, _, _, p) in enumerate(commit.contended)
        if commit.outcome == "done" and replaced.get(p)
    ]
    number, at = chance.choice(found) if found else (None, None)
    if found:
        commit = history.commits[number] = copy.deepcopy(history.commits[number])
        commit.contended[at][4] = replaced[commit.contended[at][4]]
    return bool(found)


def other_order(history, chance):
    """Two updates of a contended row come in another order than they were made."""
    contended = {row[1] for commit in history.commits for row in commit.contended}
    found = []
    for _, session, live in stretches(history):
        of_row = {}
        for at in live:
            message = session.messages[at]
            id = (message.get("rows") or message["old_values"])[0]["id"]
            if id in contended and message["change_type"] == "update":
                if id in of_row:
                    found.append((session, of_row[id], at))
                of_row[id] = at
            else:
                of_row.pop(id, None)
    session, first, second = chance.choice(found) if found else (None, None, None)
    if session:
        a, b = change(session, first)["rows"][0], change(session, second)["rows"][0]
        a["_seq"], b["_seq"] = b["_seq"], a["_seq"]
        session.messages[first]["rows"], session.messages[second]["rows"] = [b], [a]
    return bool(session)


def ends(history, code):
    """(subscription, session) of those that have ended so."""
    return [
        (one, session)
        for one in history.subscriptions
        for session in one.sessions
        if session.messages and session.messages[-1].get("code") == code
    ]


def lose_end(code):
    def plant(history, chance):
        found = ends(history, code)
        if found:
            del chance.choice(found)[1].messages[-1]
        return bool(found)

    return plant


def change_behind_end(code):
    def plant(history, chance):
        found = [s for _, s in ends(history, code) if any(m["type"] == "initial_data_batch" for m in s.messages)]
        if found:
            session = chance.choice(found)
            session.messages.append(session.messages[-2])
        return bool(found)

    return plant


def end_without_reason(code):
    def plant(history, chance):
        found = [
            session
            for one in history.subscriptions
            for session in one.sessions
            if session.messages and not session.killed and one.table not in history.dropped
        ]
        chance.choice(found).messages.append({"type": "error", "code": code})
        return True

    return plant


def lose_before_drop(history, chance):
    """What was written last before a table was dropped does not come."""
    found = []
    dropped = [session for _, session in ends(history, "TABLE_DROPPED")]
    for _, session, live in stretches(history, lambda one: history.tables[one.table] == "SHARED"):
        if any(session is other for other in dropped) and live[1:] and live[-1] == len(session.messages) - 2:
            found.append(session)
    if found:
        del chance.choice(found).messages[-2]
    return bool(found)


def lost_write(history, chance):
    """Acknowledged, and not there: in the end, all who read agree that it is not."""
    user, table, rows = history.final[0]
    gone = chance.choice(rows)
    history.final = [[user, table, [row for row in rows if row is not gone]], *history.final[1:]]
    return True


def failed_write(history, chance):
    """Refused, and there."""
    last = {row["v"] for _, _, rows in history.final for row in rows}
    numbers = [n for n, c in enumerate(history.commits) if c.outcome == "done" and any(r[3] in last for r in c.rows)]
    number = chance.choice(numbers)
    history.commits[number] = copy.copy(history.commits[number])
    history.commits[number].outcome = "failed"
    return True


# What each is found as, of the properties that the checker names; one of them is enough.
PLANTED = {
    "an insert is lost": (drop("insert"), "complete changes atomic"),
    "an update is lost": (drop("update"), "complete changes atomic"),
    "a delete is lost": (drop("delete"), "complete changes atomic"),
    "two changes are swapped": (swap, "ordered"),
    "a change comes twice": (twice, "unique"),
    "half a commit comes": (half_a_commit, "atomic complete"),
    "a commit is split": (split_commit, "atomic"),
    "a change of another group comes": (other_group, "true"),
    "another group's changes come": (other_group_altogether, "true"),
    "a change of another user comes": (other_user("USER"), "true"),
    "a STREAM row of another user comes": (other_user("STREAM"), "true"),
    "a delete of a STREAM row is lost": (lose_stream_delete, "complete atomic"),
    "last_rows are without the newest": (last_rows_without_the_newest, "complete"),
    "last_rows are too many": (last_rows_too_many, "true"),
    "an update of two writers is lost": (lost_update, "atomic true"),
    "updates of two writers come in another order": (other_order, "true"),
    "KILLED is lost": (lose_end("KILLED"), "ended"),
    "a change comes behind KILLED": (change_behind_end("KILLED"), "ended"),
    "nobody has killed it": (end_without_reason("KILLED"), "ended"),
    "TABLE_DROPPED is lost": (lose_end("TABLE_DROPPED"), "ended"),
    "a change comes behind TABLE_DROPPED": (change_behind_end("TABLE_DROPPED"), "ended"),
    "nobody has dropped its table": (end_without_reason("TABLE_DROPPED"), "ended"),
    "a change before TABLE_DROPPED is lost": (lose_before_drop, "complete atomic"),
    "resumes lose their deletes": (lose_deletes_of_resumes, "complete changes"),
    "resumes skip to their boundary": (skip_to_boundary, "complete changes"),
    "resumes lose a row": (lose_a_row_of_resumes, "complete changes atomic"),
    "a resume begins too early": (resume_too_early, "unique"),
    "an old row is stale": (stale_old_row, "changes"),
    "a row is stale": (stale_row, "true complete"),
    "a write is lost": (lost_write, "durable"),
    "a refused write is there": (failed_write, "true durable"),
}
