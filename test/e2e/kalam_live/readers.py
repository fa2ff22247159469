"""Who subscribes: one socket with some live queries, which is read slowly, stalls, is cut, and resumes; live queries on it are
killed, and end with their tables."""

import random

from kalam_testlib import LoadThread, wait_until
from kalam_testlib.ws_client import WsClosed

from .history import Session, cursor_after, is_catch_up_row
from .writers import END_KEY

TOO_FAR_BEHIND = 1013  # the one reason for which the server may close


class Reader(LoadThread):
    """`world` tells how far the writers are, whether the server is up, and when to end. `subscriptions` are by name; the
    world may add some."""

    def __init__(self, world, client, seed):
        super().__init__()
        self.world, self.client = world, client
        self.subscriptions = {}
        self.chance = random.Random(seed)
        self.ends = {}  # name → v of the last end row that came, and whether it came as a change that is live
        self.over = set()  # names of those whose table is gone
        self.taken = 0
        self.begin_socket()

    def begin_socket(self):
        self.again = False
        self.owed = {}  # name → the last_seq_id to ask for the next batch with, and when
        self.begun = set()  # names that are subscribed on this socket

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
        for name, subscription in self.subscriptions.items():
            if subscription.sessions and name not in self.over and self.chance.random() < 0.5:
                session = subscription.sessions[-1]
                del session.messages[len(session.messages) - min(len(session.messages), self.chance.randrange(1, 6)) :]
                session.killed = False

    def later(self, low, high):
        return len(self.world.commits) + self.chance.randrange(low, high)

    def is_due(self, when):
        return len(self.world.commits) >= when or self.world.finishing.is_set()

    def waiting(self):
        """The names of live queries that are to be subscribed."""
        return [name for name in list(self.subscriptions) if name not in self.begun and name not in self.over]

    def subscribe(self, ws, name):
        one = self.subscriptions[name]
        cursor = cursor_after(one.sessions[-1]) if one.sessions else None
        if one.last_rows is not None and self.chance.random() < 0.5:
            cursor = None  # Some begin anew each time.
        one.sessions.append(Session(cursor))
        options = {"batch_size": self.chance.choice((2, 10, 1000))}
        if one.last_rows is not None:
            options["last_rows"] = one.last_rows  # Where there is a cursor, that is what counts.
        if cursor is not None:
            options["from"] = cursor
        self.begun.add(name)
        if name in self.ends:
            self.ends[name] = (self.ends[name][0], False)  # It has to come live to this one, too.
        ws.subscribe(name, f"SELECT {one.columns} FROM {one.table}{one.where}", options)

    def use(self, ws):
        """Until the socket is cut, by this client or the server."""
        self.taken = 0
        self.begin_socket()
        when, kill, subscribe = self.later(10, 60), self.later(5, 50), 0
        while True:
            if self.is_due(subscribe):
                for name in self.waiting():
                    self.subscribe(ws, name)
            pages = [when for _, when in self.owed.values()]
            wait_until(
                lambda: len(ws.messages) > self.taken
                or ws.closed
                or self.world.ended.is_set()
                or any(self.is_due(page) for page in pages)
                or (self.is_due(min(when, kill)) and not self.world.finishing.is_set())
                or (self.waiting() and self.is_due(subscribe)),
                "something to do",
            )
            begun = len(self.begun)
            self.take(ws)
            if len(self.begun) < begun:
                subscribe = self.later(1, 10)
            if ws.closed:
                raise WsClosed(f"{ws.close_code} {ws.close_reason!r}")
            if self.world.ended.is_set() or self.again:
                return
            for name, (last_seq_id, page) in list(self.owed.items()):
                if self.is_due(page):
                    del self.owed[name]
                    ws.next_batch(name, last_seq_id)
            if self.world.finishing.is_set():
                continue
            if self.is_due(kill):
                self.kill_one(ws)
                kill = self.later(5, 50)
            if self.is_due(when):
                if self.chance.random() < 0.4:
                    return
                ws.reads.clear()
                until = self.later(10, 100)
                wait_until(lambda: self.is_due(until) or not self.world.is_up.is_set(), "the end of a stall")
                ws.reads.set()
                when = self.later(10, 60)

    def is_answered(self, name):
        """Whether nothing that was asked for is still on its way."""
        messages = self.subscriptions[name].sessions[-1].messages
        batches = [message for message in messages if message["type"] == "initial_data_batch"]
        return name in self.owed or bool(batches) and not batches[-1]["batch_control"]["has_more"]

    def kill_one(self, ws):
        """KILL LIVE QUERY of one of those that are there, which tells so."""
        there = [name for name in self.begun if self.is_answered(name)]
        if not there:
            return
        # Rather those with last_rows, of which some then begin anew.
        first = [name for name in there if self.subscriptions[name].last_rows is not None]
        name = self.chance.choice(sorted(first if first and self.chance.random() < 0.5 else there))
        session = self.subscriptions[name].sessions[-1]
        session.kill_asked = True
        # Also those of sockets of which the server does not know yet that they are cut.
        for (live_id,) in self.client.rows("SELECT live_id FROM system.live WHERE subscription_id = $1", [name]):
            response = self.client.sql(f"KILL LIVE QUERY '{live_id}'")
            assert response.ok or "not found" in response.message, response
        session.killed = True

        def is_told():
            self.take(ws)
            return name not in self.begun or ws.closed

        wait_until(is_told, f"KILLED for {name}")
        if name in self.begun:  # The socket was closed first.
            session.killed = False

    def take(self, ws):
        while self.taken < len(ws.messages):
            message = ws.messages[self.taken]
            self.taken += 1
            if message["type"] == "auth_success":
                continue
            name = message["subscription_id"]
            if name in self.over and message.get("code") == "BATCH_FETCH_FAILED":
                continue  # It was asked for before the table was gone.
            session = self.subscriptions[name].sessions[-1]
            session.messages.append(message)
            if message["type"] == "error":
                self.take_error(name, session, message["code"])
            elif message["type"] == "initial_data_batch" and message["batch_control"]["has_more"]:
                page = self.later(0, 2) + self.chance.choice((0, 0, 20))
                self.owed[name] = (message["batch_control"]["last_seq_id"], page)
            for row in message.get("rows", []):
                if row["id"] >= END_KEY:
                    self.ends[name] = (row["v"], message["type"] == "change" and not is_catch_up_row(message))

    def take_error(self, name, session, code):
        if code == "LAGGED":
            return
        self.owed.pop(name, None)
        self.begun.discard(name)
        if code == "KILLED":  # Also when the statement's answer was lost.
            session.killed = session.kill_asked
        if code in ("TABLE_DROPPED", "NOT_FOUND"):
            self.over.add(name)
            # A kill that was under way has come too late.
            session.killed = False
        elif code != "KILLED":
            self.again = True
