"""Threads that load a server which is killed under them, and how its end is told from a bad answer."""

import http.client
import threading

# What a request that was under way fails with when the server is killed: the connection is reset, refused, or closed before the
# answer (RemoteDisconnected, a ConnectionError) or within it. An answer that is malformed, or does not come in time, is
# never the end of a server but its bug.
GONE = (ConnectionError, http.client.IncompleteRead)


class LoadThread(threading.Thread):
    """Runs `work` until it returns, or ends with `failure`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.failure = None

    def work(self):
        raise NotImplementedError

    def run(self):
        try:
            self.work()
        except BaseException as failure:
            self.failure = failure


def refuse_failures(threads, may_be_gone):
    """Raises what a thread has failed with; with `may_be_gone`, only what a killed server does not explain."""
    for thread in threads:
        if thread.failure and not (may_be_gone and isinstance(thread.failure, GONE)):
            raise thread.failure
