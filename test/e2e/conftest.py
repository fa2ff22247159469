"""Fixtures. Most tests share one server a file, each with a namespace of its own; tests that stop, kill or configure a
server start one themselves."""

import itertools
import re

import pytest
from kalam_testlib import Server

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running
        assert running.is_alive(), "the server died:\n" + "".join(running.stderr)[-4000:]


@pytest.fixture(scope="module")
def root(server):
    return server.root()


@pytest.fixture(scope="module")
def alice(server):
    return server.user("alice")


@pytest.fixture(scope="module")
def bob(server):
    return server.user("bob")


@pytest.fixture
def ns(request, root):
    """A new namespace, named after the test."""
    name = re.sub(r"\W+", "_", request.node.name.lower())[:40].strip("_") + f"_{next(_numbers)}"
    root.run(f"CREATE NAMESPACE {name}")
    return name


@pytest.fixture
def table(root, ns):
    """A SHARED table that everyone may read."""
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY, v TEXT, n INT) WITH (ACCESS_LEVEL = 'PUBLIC')")
    return f"{ns}.t"


@pytest.fixture
def ws(server, root):
    with server.websocket(root) as socket:
        yield socket
