"""The server as a process: started on a port that the system chooses, stopped, killed, restarted."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from . import tokens
from .conditions import DEADLINE_S, wait_until
from .http_client import Client
from .ws_client import WsClient

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
ROOT_PASSWORD = "correct-horse-battery"
USER_PASSWORD = "pass-word-of-a-test"


def binary(name="kalamdb"):
    """The program under test: KALAMDB_BIN names the server, and the client lies beside it."""
    server = pathlib.Path(os.environ.get("KALAMDB_BIN", REPOSITORY / "build/release/bin/kalamdb"))
    return server if name == "kalamdb" else pathlib.Path(os.environ.get("KALAM_BIN", server.parent / name))


class StartError(Exception):
    """The server did not start; `stderr` is what it said, `code` its exit status."""

    def __init__(self, code, stderr):
        self.code = code
        self.stderr = stderr
        super().__init__(f"exit status {code}: {stderr}")


def files_of(directory):
    """The files below a directory, by their names in it."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


class ServerConfig:
    """The configuration file: defaults that suit tests, changed by section, e.g. ServerConfig(auth={"bcrypt_cost": 5}).
    What is no dictionary is a setting without a section."""

    def __init__(self, **sections):
        self.sections = {
            "server": {"host": "127.0.0.1", "port": 0},
            "auth": {"jwt_secret": tokens.SECRET, "bcrypt_cost": 4},
            "logging": {"level": "warn"},
            # Tests are faster than any person; test_limits.py puts the bounds back.
            "rate_limit": {
                "max_queries_per_sec": 1000000,
                "max_messages_per_sec": 1000000,
                "max_subscriptions_per_user": 1000000,
            },
        }
        self.settings = {}
        for section, values in sections.items():
            if isinstance(values, dict):
                self.sections.setdefault(section, {}).update(values)
            else:
                self.settings[section] = values

    def text(self, data_path):
        sections = {name: dict(values) for name, values in self.sections.items()}
        sections.setdefault("storage", {}).setdefault("data_path", str(data_path))
        lines = [f"{key} = {toml(value)}" for key, value in self.settings.items()]
        for name, values in sections.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {toml(value)}" for key, value in values.items() if value is not None]
        return "\n".join(lines) + "\n"


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Server:
    """One server on one data directory. Usable as a context manager; `start()` after `stop()` or `kill()` restarts it."""

    def __init__(self, config=None, directory=None, root_password=ROOT_PASSWORD, environment=None, preexec=None):
        self.config = config or ServerConfig()
        self.owns_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="kalamdb-test-"))
        self.data_path = self.directory / "data"
        self.root_password = root_password
        self.environment = environment or {}
        self.preexec = preexec
        self.process = None
        self.port = None
        self.stdout = []
        self.stderr = []
        self.clients = []
        self.tokens = {}

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def launch(self):
        """Writes the configuration and starts the process, without waiting."""
        assert self.process is None, "the server runs already"
        config_path = self.directory / "server.toml"
        config_path.write_text(self.config.text(self.data_path))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KALAMDB_")}
        if self.root_password is not None:
            environment["KALAMDB_ROOT_PASSWORD"] = self.root_password
        environment.update(self.environment)
        self.stderr = []
        self.process = subprocess.Popen(
            [str(binary()), "--config", str(config_path)],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=self.preexec,
        )

    def start(self):
        """Starts it and waits for its "listening" line. StartError if it ends instead."""
        self.port = None  # Before the reader starts, which sets it.
        self.launch()
        ready = threading.Event()
        threads = [
            threading.Thread(target=self.read_stdout, args=(self.process.stdout, ready), daemon=True),
            threading.Thread(target=self.read_stderr, args=(self.process.stderr, self.stderr), daemon=True),
        ]
        for thread in threads:
            thread.start()
        ready.wait(DEADLINE_S)
        if self.port is None:
            if not ready.is_set():  # Neither ready nor ended: its output is still open.
                self.process.kill()
            code = self.process.wait(DEADLINE_S)
            for thread in threads:
                thread.join()
            self.process = None
            raise StartError(code, "".join(self.stderr))
        return self

    def read_stdout(self, stream, ready):
        for line in stream:
            self.stdout.append(line)
            found = re.match(r"KalamDB listening on http://\S+:(\d+)$", line.strip())
            if found:
                self.port = int(found[1])
                ready.set()
        ready.set()

    @staticmethod
    def read_stderr(stream, lines):
        for line in stream:
            lines.append(line)

    def end(self, signal_number):
        """Sends the signal and waits for the end; the exit status."""
        if self.process is None:
            return None
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end {DEADLINE_S:g} s after signal {signal_number}") from None
        finally:
            self.process = None
        return code

    def stop(self):
        code = self.end(signal.SIGTERM)
        assert code in (None, 0), f"exit status {code} after SIGTERM:\n{''.join(self.stderr)[-2000:]}"

    def kill(self):
        """kill -9: no chance to write anything more."""
        self.end(signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def start_and_kill(self, after_s):
        """Starts it and kills it so much later, ready or not."""
        self.launch()
        try:
            self.process.wait(after_s)
        except subprocess.TimeoutExpired:
            pass
        self.process.kill()
        self.process.communicate()
        self.process = None

    def crash(self):
        self.kill()
        return self.start()

    def close(self):
        try:
            self.stop()
        finally:
            if self.owns_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def client(self, token=None, user=None):
        """A client with that token; it follows the server to its new port after a restart."""
        client = ServerClient(self, token, user)
        self.clients.append(client)
        return client

    def login(self, user, password=USER_PASSWORD):
        """A client logged in as that user. Tokens are kept: one login a user."""
        if (user, password) not in self.tokens:
            with self.client() as anonymous:
                response = anonymous.login(user, password)
            assert response.status == 200, f"login of {user}: {response}"
            self.tokens[user, password] = response.json["access_token"]
        return self.client(self.tokens[user, password], user)

    def root(self):
        return self.login("root", self.root_password)

    def create_user(self, user, role="user", password=USER_PASSWORD):
        with self.root() as root:
            root.run(f"CREATE USER '{user}' WITH PASSWORD '{password}' ROLE {role}")
        return self.login(user, password)

    def user(self, user, role="user"):
        """A client of that user, who is created when new to this Server object."""
        return self.login(user) if (user, USER_PASSWORD) in self.tokens else self.create_user(user, role)

    def websocket(self, client=None, **options):
        """A WebSocket, authenticated by header as that client unless it is None."""
        return WsClient("127.0.0.1", self.port, client.token if client else None, **options)

    def wait_for_end(self):
        code = wait_until(lambda: self.process.poll() is not None and (self.process.returncode,), "the server's end")[0]
        self.process = None
        return code


class ServerClient(Client):
    def __init__(self, server, token, user):
        super().__init__("127.0.0.1", server.port, token, user)
        self.server = server

    def request(self, method, path, body=None, headers=None):
        if self.port != self.server.port:
            self.close()
            self.port = self.server.port
        return super().request(method, path, body, headers)
