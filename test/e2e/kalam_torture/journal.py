"""What one writer did to what is its own: the cells that are there, and the operation that may be under way.

A cell is what one operation can change alone: ("row", table, id) → v, ("column", table, name) → its default, ("table",) →
(name, storage). A cell that is not there has no entry.
"""

import collections


class Journal:
    def __init__(self):
        self.cells = {}
        self.pending = None  # what an operation that was sent and not answered makes of `cells`
        self.history = collections.deque(maxlen=1000)

    def begin(self, sql, after):
        """An operation is sent that leads to `after`: from now on both may be found."""
        self.pending = after
        self.history.append([sql, "not answered"])

    def end(self, done, answer):
        if done:
            self.cells = self.pending
        self.pending = None
        self.history[-1][1] = answer

    def settle(self, found):
        """Compares with what is there now; "" or what is wrong. The acknowledged must be there, and what was under way
        wholly or not at all."""
        outcomes = [self.cells] if self.pending is None else [self.cells, self.pending]
        if found in outcomes:
            self.cells, self.pending = found, None
            return ""
        return "\n".join(self.difference(expected, found) for expected in outcomes)

    def difference(self, expected, found):
        wrong = [cell for cell in expected.keys() | found.keys() if expected.get(cell) != found.get(cell)]
        wrong.sort(key=repr)
        lines = [f"{len(wrong)} differ from the " + ("acknowledged" if expected is self.cells else "unanswered") + " state:"]
        lines += [f"  {cell}: {found.get(cell)!r}, not {expected.get(cell)!r}" for cell in wrong[:5]]
        ids = {str(cell[2]) for cell in wrong[:5] if cell[0] == "row"}
        told = [entry for entry in self.history if not ids or any(id in entry[0] for id in ids)]
        return "\n".join(lines + [f"  {answer}: {sql[:400]}" for sql, answer in told[-12:]])
