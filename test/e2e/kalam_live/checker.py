"""Proves of a history that what each subscriber received was ordered, unique, atomic, complete, resumable and true."""

from .history import COLUMNS, Truth, is_catch_up_row, seq_of, short


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
        self.scope = truth.scope(subscription.user, subscription.table)
        self.rows = {}  # id → (_seq, index in its chain)
        self.reached = {}  # id → the newest index that it has ever been at
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
            self.end_stretch()
            if session.cursor is None:
                self.rows = {}
            self.begin_stretch("loading", session.cursor or 0)
            for position, message in enumerate(session.messages):
                self.where = f"session {number} from {session.cursor}, message {position}"
                self.take(message, session)
        self.where = "at the end"
        self.end_run()
        self.end_stretch()
        if self.phase != "live":
            self.problem("complete", f"is not live, but {self.phase}")
        expected = {row["id"]: (int(row["_seq"]), row["v"]) for row in self.subscription.final}
        found = {id: (seq, self.chain(id)[index].v) for id, (seq, index) in self.rows.items()}
        for id in sorted(expected.keys() | found.keys()):
            if expected.get(id) != found.get(id):
                self.problem("complete", f"row {id} is {expected.get(id)}, but was told as {found.get(id)}")

    def begin_stretch(self, phase, floor):
        self.phase = phase
        self.is_checked = False  # whether it was looked at what the changes that come live begin from
        self.floor = self.last_row = self.last_delete = floor
        self.seen = set()  # (id, _seq)
        self.run = None  # of the changes that come live: the commit, the ids that came, those that must
        self.runs = set()  # the commits that have come live
        self.newest_of = {}  # writer → its last commit that came live

    def end_stretch(self):
        if self.is_checked:
            self.check_reached(self.last_row)

    # --- messages

    def take(self, message, session):
        kind = message["type"]
        if kind == "error":
            self.take_error(message)
        elif kind == "initial_data_batch":
            if self.phase != "loading":
                self.problem("changes", f"a batch while {self.phase}")
            for row in message["rows"]:
                self.take_row(row)
            if not message["batch_control"]["has_more"]:
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

    def take_error(self, message):
        if message["code"] == "LAGGED":
            self.end_stretch()
            self.begin_stretch("catching", max(self.last_row, self.last_delete))
        elif message["code"] == "CURSOR_TOO_OLD":
            self.phase = "ended"
        else:
            self.problem("true", f"an error: {message}")

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
        index = had[1] + 1 if new is None and had else self.version_of(new) if new else None
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
        self.follow_run(chain[index].commit, id)
        if new is None:
            self.tell_seq(id, index, seq)
            self.rows.pop(id, None)
            self.reached[id] = index
        else:
            self.put(id, seq, index)

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
        self.rows[id] = (seq, index)
        self.reached[id] = max(index, self.reached.get(id, -1))

    def follow_run(self, commit, id):
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

    def end_run(self):
        """Where a stretch ends otherwise, its last commit may be cut."""
        if self.run and self.run[1] != self.run[2]:
            self.problem("atomic", f"commit {self.run[0]} came with rows {sorted(self.run[1])} of {sorted(self.run[2])}")
        self.run = None

    def go_live(self, up_to, beginning=None):
        """What was caught up with must be the rows as they were between two commits, with everything up to that `_seq`;
        `beginning` is a commit that may have begun."""
        self.phase, self.is_checked = "live", True
        self.check_reached(up_to)
        for commit, scopes in self.truth.commits.items():
            places = scopes.get(self.scope, {})
            if commit == beginning or len(places) < 2:
                continue
            spans = {id: self.span(id) for id in places}
            there = [id for id, index in places.items() if spans[id][0] >= index]
            missing = [id for id, index in places.items() if spans[id][1] < index]
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
            if reached < due:
                self.problem("complete", f"{chain[due]} of row {id}, _seq {told[due]}, did not come before {up_to}")

    def span(self, id):
        """The oldest and the newest version at which the row may be, as far as is known."""
        if id in self.rows:
            return self.rows[id][1], self.rows[id][1]
        reached = self.reached.get(id, -1)
        hidden = [i for i, version in enumerate(self.chain(id)) if i >= reached and not self.matches(version)]
        return (hidden[0] if reached >= 0 and hidden else -1), (hidden[-1] if hidden else -1)
