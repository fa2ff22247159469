"""Waiting for something to become true, with a deadline: tests never sleep for a fixed time."""

import os
import time

# How many times slower than usual the server is, for builds with sanitizers.
SLOWDOWN = float(os.environ.get("KALAM_TEST_SLOWDOWN", "1"))
# Generous, since it is only ever reached by a failure: the machine may be busy with a build beside the tests.
DEADLINE_S = 30.0 * SLOWDOWN


def wait_until(condition, what="the condition", timeout_s=DEADLINE_S, interval_s=0.005):
    """Calls `condition` until it returns something true, which is returned; AssertionError past the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not so after {timeout_s:g} s (last value: {value!r})")
        time.sleep(interval_s)
