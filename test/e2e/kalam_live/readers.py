"""Who subscribes: one socket with some live queries, which is read slowly, stalls, is cut, and resumes."""

import random

from kalam_testlib import LoadThread, wait_until
from kalam_testlib.ws_client import WsClosed

from .history import Session, cursor_after, is_catch_up_row
from .writers import END_KEY

TOO_FAR_BEHIND = 1013  # the one reason for which the server may close


class Reader(LoadThread):
    """`world` tells how far the writers are, whether the server is up, and when to end. `subscriptions` are by name."""

    def __init__(self, world, client, subscriptions, seed):
        super().__init__()
        self.world, self.client, self.subscriptions = world, client, subscriptions
        self.chance = random.Random(seed)
        self.ends = {}  # name → v of the last end row that came, and whether it came as a change that is live
        self.owed = {}  # name → the last_seq_id to ask for the next batch with, and when
        self.taken = 0
        self.again = False

    def work(self):
        while not self.world.ended.is_set():
            wait_until(self.world.is_up.is_set, "the server")
            kills = self.world.kills
            ws = failure = None
            try:
                query = self.chance.choice(self.world.queries)
                ws = self.world.server.websocket(self.client, query=query, small_buffers=True)
                self.use(ws)
            except Exception as caught:
                failure = caught
            if ws:
                ws.reads.set()
                ws.abort()
                self.take(ws)
            if failure and kills == self.world.kills and not (ws and ws.close_code == TOO_FAR_BEHIND):
                raise failure
            if not self.world.ended.is_set():
                self.forget_some()

    def forget_some(self):
        """A client that ends may have processed less than what was on its way."""
        for subscription in self.subscriptions.values():
            if subscription.sessions and self.chance.random() < 0.5:
                messages = subscription.sessions[-1].messages
                del messages[len(messages) - min(len(messages), self.chance.randrange(1, 6)) :]

    def later(self, low, high):
        return len(self.world.commits) + self.chance.randrange(low, high)

    def is_due(self, when):
        return len(self.world.commits) >= when or self.world.finishing.is_set()

    def use(self, ws):
        """Until the socket is cut, by this client or the server."""
        self.taken, self.owed, self.again = 0, {}, False
        for name, one in self.subscriptions.items():
            cursor = cursor_after(one.sessions[-1]) if one.sessions else None
            one.sessions.append(Session(cursor))
            options = {"batch_size": self.chance.choice((2, 10, 1000))}
            if cursor is not None:
                options["from"] = cursor
            ws.subscribe(name, f"SELECT {one.columns} FROM {one.table}{one.where}", options)
        when = self.later(10, 60)
        while True:
            pages = [when for _, when in self.owed.values()]
            wait_until(
                lambda: len(ws.messages) > self.taken
                or ws.closed
                or self.world.ended.is_set()
                or any(self.is_due(page) for page in pages)
                or (self.is_due(when) and not self.world.finishing.is_set()),
                "something to do",
            )
            self.take(ws)
            if ws.closed:
                raise WsClosed(f"{ws.close_code} {ws.close_reason!r}")
            if self.world.ended.is_set() or self.again:
                return
            for name, (last_seq_id, page) in list(self.owed.items()):
                if self.is_due(page):
                    del self.owed[name]
                    ws.next_batch(name, last_seq_id)
            if self.is_due(when) and not self.world.finishing.is_set():
                if self.chance.random() < 0.4:
                    return
                ws.reads.clear()
                until = self.later(10, 100)
                wait_until(lambda: self.is_due(until) or not self.world.is_up.is_set(), "the end of a stall")
                ws.reads.set()
                when = self.later(10, 60)

    def take(self, ws):
        while self.taken < len(ws.messages):
            message = ws.messages[self.taken]
            self.taken += 1
            if message["type"] == "auth_success":
                continue
            name = message["subscription_id"]
            self.subscriptions[name].sessions[-1].messages.append(message)
            if message["type"] == "error":
                self.again = self.again or message["code"] != "LAGGED"
            elif message["type"] == "initial_data_batch" and message["batch_control"]["has_more"]:
                page = self.later(0, 2) + self.chance.choice((0, 0, 20))
                self.owed[name] = (message["batch_control"]["last_seq_id"], page)
            for row in message.get("rows", []):
                if row["id"] == END_KEY:
                    self.ends[name] = (row["v"], message["type"] == "change" and not is_catch_up_row(message))
