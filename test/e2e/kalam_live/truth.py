"""What the writers' side of a history says: for each row the versions that it had."""

import collections

from .history import UNKNOWN, short

# `commit` is a number, g and v are None for a deletion.
Version = collections.namedtuple("Version", "commit g v")


class Truth:
    def __init__(self, history, seqs):
        self.history = history
        self.seqs = seqs  # (scope, id, index) → the `_seq` that anybody was told of that version
        self.problems = []
        self.chains = collections.defaultdict(list)  # (scope, id) → its Versions, oldest first
        self.places = {}  # (scope, id, v) → index in the chain
        self.commits = collections.defaultdict(lambda: collections.defaultdict(dict))  # number → {scope: {id: index}}
        self.links = {}  # (scope, id, v) → the `p` of a contended version
        self.known = set()  # (scope, id, v) that somebody has seen
        self.deleted = set()  # (scope, id, v) of which somebody has seen that it was deleted
        self.contended_ids = {
            (history.scope(commit.user, table), id) for commit in history.commits for table, id, *_ in commit.contended
        }
        self.read_evidence()
        self.replay()
        self.link()
        for look in history.looks:
            self.check_look(*look)
        for user, table, rows in history.final:
            self.check_final(history.scope(user, table), rows)

    def problem(self, kind, text):
        self.problems.append(f"{kind}: {text}")

    def read_evidence(self):
        """What was seen was written, whether its writer was answered or not."""
        for one in self.history.subscriptions:
            scope = self.history.scope(one.user, one.table)
            for message in (message for session in one.sessions for message in session.messages):
                for row in message.get("rows", []):
                    self.see(scope, row["id"], row.get("v"), row.get("p"))
                # Where there is a filter, it may be an update that has left it.
                if message.get("change_type") == "delete" and one.below is None:
                    self.deleted.add((scope, message["old_values"][0]["id"], message["old_values"][0].get("v")))
        for _, user, table, rows in self.history.looks:
            for id, _, v, p in rows:
                self.see(self.history.scope(user, table), id, v, p)
        for commit in self.history.commits:
            for table, id, _, v, p in commit.contended if commit.outcome == "done" else []:
                self.see(self.history.scope(commit.user, table), id, v, p)

    def see(self, scope, id, v, p):
        self.known.add((scope, id, v))
        if p not in (None, UNKNOWN):
            self.known.add((scope, id, p))
            if v is not None and self.links.setdefault((scope, id, v), p) != p:
                self.problem("true", f"{v} of row {id} has replaced {p} for one and {self.links[scope, id, v]} for another")

    def was_seen(self, number, scope, id, v):
        """A version of a commit without an answer. Contended keys are not used again: what is deleted stays away."""
        if v is not None or (scope, id) not in self.contended_ids:
            return (scope, id, v) in self.known
        looks = [look for look in self.history.looks if look[0] > number and self.history.scope(*look[1:3]) == scope]
        return any(all(row[0] != id for row in rows) for *_, rows in looks)

    def replay(self):
        states = collections.defaultdict(dict)
        self.contended = collections.defaultdict(list)  # (scope, id) → [number, g, v, p]
        for number, commit in enumerate(self.history.commits):
            before = states[commit.writer]
            after = dict(before)
            for table, id, g, v in commit.rows:
                after[table, id] = (g, v)
                if v is None:
                    del after[table, id]
            if self.is_done(number, commit, before, after):
                states[commit.writer] = after
                self.add(number, commit)

    def is_done(self, number, commit, before, after):
        """What was not answered is judged by what is there after the kill or, where that tells nothing, was seen before."""
        if commit.found is None:
            return commit.outcome == "done"
        scope = {table: self.history.scope(commit.user, table) for table, *_ in [*commit.rows, *commit.contended]}
        versions = [(table, id, v) for table, id, _, v, *_ in [*commit.rows, *commit.contended]]
        # A row that is away may have been deleted by another commit.
        written = [version for version in versions if version[2] is not None]
        was_seen = any(self.was_seen(number, scope[table], id, v) for table, id, v in written or versions)
        deletes = [(scope[table], id, before[table, id][1]) for table, id, _, v in commit.rows if v is None]
        found = {(table, id): (g, v) for table, id, g, v in commit.found}
        before, after = ({c: v for c, v in state.items() if c[0] in commit.looked} for state in (before, after))
        if before == after:
            was_done = was_seen or any(delete in self.deleted for delete in deletes)
        else:
            was_done = found == after
            values = [(scope[table], id, v) for table, id, _, v, *_ in [*commit.rows, *commit.contended] if v is not None]
            if found == before and any(value in self.known for value in values):
                self.problem("atomic", f"half of a commit of {commit.writer} was there: {short(commit.sql)}")
        if found not in (before, after):
            wrong = sorted(set(found.items()) ^ set(before.items()))
            kind = "atomic" if commit.rows else "durable"
            self.problem(kind, f"{commit.writer} finds after a kill: {short(wrong)}; {short(commit.sql)}")
        return was_done

    def add(self, number, commit):
        for table, id, g, v in commit.rows:
            self.append(self.history.scope(commit.user, table), id, Version(number, g, v))
        for table, id, g, v, p in commit.contended:
            scope = self.history.scope(commit.user, table)
            # Without an answer, it may have met no row.
            if p != UNKNOWN or self.was_seen(number, scope, id, v):
                p = self.links.get((scope, id, v), p)
                self.contended[scope, id].append((Version(number, g, v), p))

    def append(self, scope, id, version):
        chain = self.chains[scope, id]
        self.commits[version.commit][scope][id] = self.places[scope, id, version.v] = len(chain)
        chain.append(version)

    def link(self):
        """Contended versions in their order: each behind the one that it has replaced."""
        for (scope, id), versions in self.contended.items():
            follows = collections.defaultdict(list)
            for version, p in versions:
                follows[p].append(version)
            unknown = [version for version in follows.pop(UNKNOWN, [])]
            last, left = None, sum(map(len, follows.values())) + len(unknown)
            while left:
                behind = follows.pop(last, [])
                if not behind and unknown and last is not None:
                    # Of several, one that nobody is known to have replaced comes before one that somebody has.
                    unknown.sort(key=lambda version: (version.v is None, version.v in follows))
                    behind = [unknown.pop(0)]
                if len(behind) != 1:
                    break
                self.append(scope, id, behind[0])
                last, left = behind[0].v, left - 1
                if last is None:
                    break
            lost = [version for group in follows.values() for version in group]
            if lost:
                self.problem("atomic", f"{scope}, row {id}: behind {last} not one but {short(behind)}; left over: {short(lost)}")

    def check_look(self, position, user, table, rows):
        """After a kill, what was acknowledged of contended rows is there, and nothing from later."""
        scope = self.history.scope(user, table)
        found = {id: v for id, _, v, _ in rows}
        for (where, id), chain in self.chains.items():
            if where != scope or (scope, id) not in self.contended:
                continue
            due = [i for i, version in enumerate(chain) if version.commit < position]
            if found.get(id) != (chain[due[-1]].v if due else None):
                self.problem("durable", f"{scope}, row {id} is {found.get(id)} after a kill, not {due and chain[due[-1]]}")

    def check_final(self, scope, rows):
        found = {row["id"]: (row["g"], row["v"]) for row in rows}
        if len(found) != len(rows):
            self.problem("unique", f"{scope} has a key twice")
        expected = {id: chain[-1][1:] for (where, id), chain in self.chains.items() if where == scope and chain[-1].v}
        for id in sorted(expected.keys() | found.keys()):
            if expected.get(id) != found.get(id):
                self.problem("durable", f"{scope}, row {id} is {short(found.get(id))}, not {short(expected.get(id))}")

    def last_state(self, subscription):
        """{id: v} of the rows that the subscription ends with, where nothing was unanswered."""
        scope = self.history.scope(subscription.user, subscription.table)
        ends = {id: chain[-1] for (where, id), chain in self.chains.items() if where == scope}
        return {id: version.v for id, version in ends.items() if subscription.matches(version.g)}
