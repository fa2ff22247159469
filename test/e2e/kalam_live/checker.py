"""Proves of a history that what each subscriber received was ordered, unique, atomic, complete, resumable and true."""

from .history import COLUMNS, ENDS, is_catch_up_row, seq_of, short
from .truth import Truth


def check(history):
    """What is wrong, a line each, which begins with the property that does not hold; [] when all hold."""
    seqs = {}
    for _ in range(2):  # What one subscriber was told is held against the others.
        truth = Truth(history, seqs)
        for subscription in history.subscriptions:
            Follower(truth, subscription).follow()
    return truth.problems


class Follower:
    """Folds the messages of one subscription, as a client does, and looks at each.

    A stretch begins with a session, whose rows come in batches, with deletes ahead of each ("loading"), or with LAGGED.
    Then rows and deletes are caught up with, in their order ("catching"), and then come changes ("live"). Nothing says
    where deletes that are caught up with end, so that they do when something else comes.
    """

    def __init__(self, truth, subscription):
        self.truth, self.subscription = truth, subscription
        self.scope = truth.history.scope(subscription.user, subscription.table)
        self.is_stream = truth.history.tables[subscription.table] == "STREAM"
        self.is_dropped = subscription.table in truth.history.dropped
        self.rows = {}  # id → (_seq, index in its chain)
        self.reached = {}  # id → the newest index that it has ever been at
        self.heard = set()  # ids that have come since the snapshot
        self.low = 0  # with last_rows, rows from before that `_seq` were left out of the snapshot
        self.has_resumed = False
        self.away_until = 0  # the `_seq` up to which it has caught up with what came while it was not there
        self.told, self.ended = 0, None  # in the session: rows, the error that ended it
        self.where = ""
        self.begin_stretch("loading", 0)

    def problem(self, kind, text):
        self.truth.problem(kind, f"{self.subscription.name} ({self.where}): {short(text)}")

    def chain(self, id):
        return self.truth.chains.get((self.scope, id), [])

    def matches(self, version):
        return self.subscription.matches(version.g)

    def follow(self):
        for number, session in enumerate(self.subscription.sessions):
            self.end_stretch(session.cursor or 0)
            if session.cursor is None:
                self.rows, self.heard, self.low = {}, set(), 0
                self.has_resumed, self.away_until = False, 0
            else:
                self.has_resumed = True
            self.begin_stretch("loading", session.cursor or 0)
            self.told, self.ended = 0, None
            for position, message in enumerate(session.messages):
                self.where = f"session {number} from {session.cursor}, message {position}"
                self.take(message, session, position)
            self.where = f"session {number}"
            if session.killed and self.ended != "KILLED":
                self.problem("ended", "was killed, and not told so")
        self.where = "at the end"
        self.end_run()
        self.end_stretch()
        if self.is_dropped:
            if self.ended not in ("TABLE_DROPPED", "NOT_FOUND"):
                self.problem("ended", "was not told that the table is gone")
            return
        if self.phase != "live":
            self.problem("complete", f"is not live, but {self.phase}")
        self.compare_end({row["id"]: (int(row["_seq"]), row["v"]) for row in self.subscription.final})

    def compare_end(self, expected):
        """With the rows that there are in the end, (_seq, v) by id; without a `_seq` where nobody has looked."""
        found = {id: (seq, self.chain(id)[index].v) for id, (seq, index) in self.rows.items()}
        for id in sorted(expected.keys() | found.keys()):
            if id in expected and expected[id][0] is None and id in found:
                found[id] = (None, found[id][1])
            newest = len(self.chain(id)) - 1
            if expected.get(id) != found.get(id) and not self.may_be_missing(id, newest) and not self.may_be_left(id):
                self.problem("complete", f"row {id} is {expected.get(id)}, but was told as {found.get(id)}")

    def may_be_missing(self, id, index):
        """Never told of, since that version is from before the last_rows."""
        return id not in self.heard and self.truth.seqs.get((self.scope, id, index), 0) < self.low

    def may_be_left(self, id):
        """Deletions of STREAM rows leave nothing from which one who resumes, or catches up, could learn of them."""
        newest = len(self.chain(id)) - 1
        is_deleted = self.is_stream and self.has_resumed and self.chain(id)[newest].v is None
        return is_deleted and self.truth.seqs.get((self.scope, id, newest), 0) <= self.away_until

    def begin_stretch(self, phase, floor):
        self.phase = phase
        self.is_checked = False  # whether it was looked at what the changes that come live begin from
        self.floor = self.last_row = self.last_delete = floor
        self.seen = set()  # (id, _seq)
        self.run = None  # of the changes that come live: the commit, the ids that came, those that must
        self.runs = set()  # the commits that have come live
        self.newest_of = {}  # writer → its last commit that came live

    def end_stretch(self, cursor=0):
        """What the client resumes from, it has."""
        if self.is_checked:
            self.check_reached(max(self.last_row, cursor))

    # --- messages

    def take(self, message, session, position):
        kind = message["type"]
        if self.ended:
            self.problem("ended", f"behind {self.ended}: {message}")
            return
        if position == 0 and kind not in ("subscription_ack", "error"):
            self.problem("ended", f"not an ack, but of what was there before: {message}")
        if kind == "error":
            self.take_error(message, session)
        elif kind == "initial_data_batch":
            if self.phase != "loading":
                self.problem("changes", f"a batch while {self.phase}")
            for row in message["rows"]:
                self.take_row(row)
            self.told += len(message["rows"])
            has_more = message["batch_control"]["has_more"]
            if session.cursor is None and self.subscription.last_rows is not None:
                self.take_last_rows(self.subscription.last_rows, has_more)
            if not has_more:
                self.phase = "catching"  # with what did not fit behind the snapshot
        elif kind == "change":
            is_removal = message["change_type"] == "delete" and session.cursor is not None
            if self.phase == "loading" and not is_removal:
                self.problem("changes", f"before the last batch: {message}")
            if is_catch_up_row(message):
                if self.is_checked:
                    self.problem("changes", f"an update without old values: {message}")
                self.phase = "catching"
                self.take_row(message["rows"][0])
            elif message["change_type"] == "delete" and self.phase in ("loading", "catching"):
                self.take_removal(message["old_values"][0])
            else:
                self.take_live(message)

    def take_last_rows(self, most, has_more):
        """Of the newest rows, so many; those that are left out are older than all of them."""
        if self.told > most:
            self.problem("true", f"{self.told} rows where {most} were asked for")
        is_cut = has_more or self.told >= most
        self.low = min((seq for seq, _ in self.rows.values()), default=0) if is_cut else 0

    def take_error(self, message, session):
        if message["code"] in ENDS:
            self.take_end(message["code"], session)
        elif message["code"] == "LAGGED":
            self.has_resumed = True
            self.end_stretch()
            self.begin_stretch("catching", max(self.last_row, self.last_delete))
        elif message["code"] == "CURSOR_TOO_OLD":
            self.phase = "ended"
        else:
            self.problem("true", f"an error: {message}")

    def take_end(self, code, session):
        self.end_run()
        self.ended = code
        if code == "KILLED" and not session.killed or code != "KILLED" and not self.is_dropped:
            self.problem("ended", f"{code}, of which nobody was the cause")
        if code == "TABLE_DROPPED" and self.phase == "live":
            # What was acknowledged before has come before.
            self.compare_end({id: (None, v) for id, v in self.truth.last_state(self.subscription).items()})

    def take_row(self, row):
        """Of a snapshot, a resume or a catch-up: a row as it is now."""
        id, seq = row["id"], int(row["_seq"])
        self.see(id, seq, self.last_row if self.phase == "loading" else max(self.last_row, self.last_delete))
        self.last_row = max(self.last_row, seq)
        index = self.version_of(row)
        if index is None:
            return
        if index < self.reached.get(id, -1):
            self.problem("resumable", f"older than what came before: {row}")
        self.put(id, seq, index)

    def take_removal(self, row):
        """Of a resume or a catch-up. Harmless for a row that is not there."""
        id, seq = row["id"], int(row["_seq"])
        self.see(id, seq, max(self.last_row, self.last_delete))
        self.last_delete = max(self.last_delete, seq)
        # Where there is a filter, it may tell that the row is not in it.
        if self.is_stream and self.subscription.below is None and len(self.chain(id)) == 2:
            self.tell_seq(id, 1, seq)
        if not self.chain(id):
            self.problem("true", f"deletes what nobody wrote: {row}")
        elif id in self.rows:
            had_seq, index = self.rows.pop(id)
            self.reached[id] = index + 1
            if seq <= had_seq:
                self.problem("ordered", f"deletes a newer row than its own: {row}, had {had_seq}")

    def take_live(self, message):
        kind, seq = message["change_type"], seq_of(message)
        new = (message.get("rows") or [None])[0]
        old = (message.get("old_values") or [None])[0]
        id = (new or old)["id"]
        chain, had = self.chain(id), self.rows.get(id)
        if not chain:
            self.problem("true", f"of a row that nobody wrote: {message}")
        index = self.version_of(new) if new else had[1] + 1 if had else None
        if had is None and kind != "insert" and self.low and id not in self.heard:
            had, index = self.left_out(old, index)
        if not self.is_checked:
            self.go_live(seq - 1, chain[index].commit if index is not None and index < len(chain) else None)
        self.see(id, seq, max(self.last_row, self.last_delete))
        self.last_row = self.last_delete = max(seq, self.last_row, self.last_delete)
        if (kind == "insert") != (had is None):
            self.problem("changes", f"{kind} of a row that is {'not ' if had is None else ''}there: {message}")
        if index is None or index >= len(chain):
            if index is not None:
                self.problem("true", f"deletes what nobody has: {message}")
            return
        if new is None and self.matches(chain[index]):
            self.problem("complete", f"a delete where {chain[index]} is next: {message}")
        if had and index != had[1] + 1 or not had and index > 0 and self.matches(chain[index - 1]):
            self.problem("complete", f"a version is left out before {message}")
        if had and old:
            self.check_old(old, had, kind)
        self.follow_run(chain[index].commit, id, was_there=had is not None)
        if new is None:
            self.tell_seq(id, index, seq)
            self.rows.pop(id, None)
            self.heard.add(id)
            self.reached[id] = index
        else:
            self.put(id, seq, index)

    def left_out(self, old, index):
        """(what it was, what it has become) of a row that was not among the last_rows: it may change or leave like others."""
        before = index - 1 if index is not None else self.truth.places.get((self.scope, old["id"], old.get("v")), -1)
        if before < 0 or not self.matches(self.chain(old["id"])[before]):
            return None, index
        seq = self.truth.seqs.get((self.scope, old["id"], before))
        if seq is not None and seq >= self.low:
            self.problem("complete", f"should have been among the last rows: {old}")
        return (seq or (int(old["_seq"])), before), before + 1

    def check_old(self, old, had, kind):
        was = self.chain(old["id"])[had[1]]
        if kind == "update" and int(old["_seq"]) != had[0]:
            self.problem("changes", f"its old row is not the one that was told, {had[0]}: {old}")
        for column in COLUMNS:
            if column in old and old[column] != getattr(was, column):
                self.problem("changes", f"an old value is not that of {was}: {old}")

    # --- what is looked at in several of them

    def see(self, id, seq, last):
        if (id, seq) in self.seen:
            self.problem("unique", f"row {id} of _seq {seq} twice")
        elif seq <= self.floor:
            self.problem("unique", f"row {id} of _seq {seq} is not behind {self.floor}")
        elif seq <= last:
            self.problem("ordered", f"row {id} of _seq {seq} behind {last}")
        self.seen.add((id, seq))

    def version_of(self, row):
        """Which version it is; None, and a problem, if nobody wrote it."""
        id = row["id"]
        index = self.truth.places.get((self.scope, id, row.get("v")))
        if index is None:
            self.problem("true", f"nobody wrote {row}")
            return None
        version = self.chain(id)[index]
        if not self.matches(version) or row.get("g", version.g) != version.g:
            self.problem("true", f"not in the filter, or not as it was written, {version}: {row}")
        # Columns that were added have their number as default.
        if any(name[0] == "e" and value != int(name[1:]) for name, value in row.items()):
            self.problem("true", f"an added column has not its default: {row}")
        self.tell_seq(id, index, int(row["_seq"]))
        return index

    def tell_seq(self, id, index, seq):
        if self.truth.seqs.setdefault((self.scope, id, index), seq) != seq:
            self.problem("true", f"{self.chain(id)[index]} of row {id} has another _seq than {seq} elsewhere")

    def put(self, id, seq, index):
        self.heard.add(id)
        self.rows[id] = (seq, index)
        self.reached[id] = max(index, self.reached.get(id, -1))

    def follow_run(self, commit, id, was_there):
        """A commit's changes come together, and each that concerns the subscription does."""
        if self.run is None or self.run[0] != commit:
            self.end_run()
            if commit in self.runs:
                self.problem("atomic", f"commit {commit} goes on with row {id} behind others")
            writer = self.truth.history.commits[commit].writer
            if commit < self.newest_of.get(writer, -1):
                self.problem("ordered", f"commit {commit} of {writer} behind its {self.newest_of[writer]}")
            self.newest_of[writer] = commit
            self.runs.add(commit)
            places = self.truth.commits[commit][self.scope]
            due = {key for key, index in places.items() if key in self.rows or self.matches(self.chain(key)[index])}
            self.run = (commit, set(), due)
        self.run[1].add(id)
        if was_there:  # also where it was not told of, behind the last_rows
            self.run[2].add(id)

    def end_run(self):
        """Where a stretch ends otherwise, its last commit may be cut."""
        if self.run and self.run[1] != self.run[2]:
            self.problem("atomic", f"commit {self.run[0]} came with rows {sorted(self.run[1])} of {sorted(self.run[2])}")
        self.run = None

    def go_live(self, up_to, beginning=None):
        """What was caught up with must be the rows as they were between two commits, with everything up to that `_seq`;
        `beginning` is a commit that may have begun."""
        self.phase, self.is_checked = "live", True
        self.away_until = up_to if self.has_resumed else 0
        self.check_reached(up_to)
        for commit, scopes in self.truth.commits.items():
            places = scopes.get(self.scope, {})
            if commit == beginning or len(places) < 2:
                continue
            if self.is_stream and self.has_resumed and all(self.chain(id)[i].v is None for id, i in places.items()):
                continue
            spans = {id: self.span(id) for id in places if not self.low or id in self.heard}
            there = [id for id in spans if spans[id][0] >= places[id]]
            missing = [id for id in spans if spans[id][1] < places[id]]
            if there and missing:
                self.problem("atomic", f"live with rows {there} of commit {commit} and without {missing}")

    def check_reached(self, up_to):
        """Every version up to that `_seq` must have come, or a later one of its row."""
        for (scope, id), chain in self.truth.chains.items():
            if scope != self.scope:
                continue
            told = [self.truth.seqs.get((scope, id, index)) for index in range(len(chain))]
            due = max((index for index, seq in enumerate(told) if seq and seq <= up_to), default=-1)
            if id in self.rows:
                reached = self.rows[id][1]
            else:
                hidden = [i for i, seq in enumerate(told) if not self.matches(chain[i]) and (seq or 0) <= up_to]
                reached = max(hidden, default=-1)
            is_excused = self.may_be_missing(id, due) or due >= 0 and chain[due].v is None and self.may_be_left(id)
            if reached < due and not is_excused:
                self.problem("complete", f"{chain[due]} of row {id}, _seq {told[due]}, did not come before {up_to}")

    def span(self, id):
        """The oldest and the newest version at which the row may be, as far as is known."""
        if id in self.rows:
            return self.rows[id][1], self.rows[id][1]
        reached = self.reached.get(id, -1)
        hidden = [i for i, version in enumerate(self.chain(id)) if i >= reached and not self.matches(version)]
        return (hidden[0] if reached >= 0 and hidden else -1), (hidden[-1] if hidden else -1)
