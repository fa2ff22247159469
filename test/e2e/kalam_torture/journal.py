"""What one writer did to what is its own: the cells that are there, and the operation that may be under way.

A cell is what one operation can change alone: ("row", table, id) → v, ("column", table, name) → its default, ("table",) →
(name, storage). A cell that is not there has no entry.
"""

import collections
import threading


class Journal:
    """A writer's thread begins and ends operations; any other may record meanwhile."""

    def __init__(self):
        self.cells = {}
        self.pending = None  # what an operation that was sent and not answered makes of `cells`
        self.history = collections.deque(maxlen=1000)
        self.recordings = []
        self.lock = threading.Lock()

    def begin(self, sql, after):
        """An operation is sent that leads to `after`: from now on both may be found."""
        with self.lock:
            self.pending = after
            for states in self.recordings:
                states.append(after)
        self.history.append([sql, "not answered"])

    def end(self, done, answer):
        with self.lock:
            if done:
                self.cells = self.pending
            else:
                self.forget_pending()
            self.pending = None
        self.history[-1][1] = answer

    def forget_pending(self):
        """It has not come to be: nobody may have seen it. It was the last in every recording."""
        for states in self.recordings:
            assert states[-1] is self.pending
            states.pop()

    def record(self):
        """The list of all states that may be found from now on until stop(): what reads at one moment sees one of them."""
        with self.lock:
            states = [self.cells] if self.pending is None else [self.cells, self.pending]
            self.recordings.append(states)
            return states

    def stop(self, states):
        with self.lock:
            self.recordings = [other for other in self.recordings if other is not states]

    def settle(self, found):
        """Compares with what is there now; "" or what is wrong. The acknowledged must be there, and what was under way
        wholly or not at all."""
        outcomes = [self.cells] if self.pending is None else [self.cells, self.pending]
        if told := self.compare(outcomes, found):
            return told
        if self.pending is not None and found != self.pending:
            self.forget_pending()
        self.cells, self.pending = found, None
        return ""

    def compare(self, states, found):
        """Empty if `found` is one of those states, else how it differs from the two that are the nearest."""
        if found in states:
            return ""
        nearest = sorted(states, key=lambda expected: len(self.difference(expected, found)))[:2]
        return "\n".join(self.tell(expected, found) for expected in nearest)

    @staticmethod
    def difference(expected, found):
        wrong = [cell for cell in expected.keys() | found.keys() if expected.get(cell) != found.get(cell)]
        return sorted(wrong, key=repr)

    def tell(self, expected, found):
        name = "acknowledged" if expected is self.cells else "unanswered" if expected is self.pending else "recorded"
        wrong = self.difference(expected, found)
        lines = [f"{len(wrong)} differ from the {name} state:"]
        lines += [f"  {cell}: {found.get(cell)!r}, not {expected.get(cell)!r}" for cell in wrong[:5]]
        ids = {str(cell[2]) for cell in wrong[:5] if cell[0] == "row"}
        told = [entry for entry in self.history if not ids or any(id in entry[0] for id in ids)]
        return "\n".join(lines + [f"  {answer}: {sql[:400]}" for sql, answer in told[-12:]])
