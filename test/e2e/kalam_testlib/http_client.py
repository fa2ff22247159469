"""A keep-alive HTTP client of one user, on http.client. Not for use from two threads at once."""

import http.client
import json
import re

from .conditions import DEADLINE_S, SLOWDOWN, wait_until

ANSWER_TIMEOUT_S = 60 * SLOWDOWN


class SqlError(AssertionError):
    """The server answered a statement with an error that the test did not expect."""

    def __init__(self, sql, response):
        self.response = response
        shown = sql if len(sql) < 500 else sql[:500] + "…"
        super().__init__(f"HTTP {response.status} for: {shown}\n{response.text[:2000]}")

    @property
    def code(self):
        return self.response.code


class Response:
    """One HTTP answer. `json` is the decoded body, or None if it is not JSON."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        self.text = body.decode("utf-8", "replace")
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    @property
    def ok(self):
        return self.status == 200 and isinstance(self.json, dict) and self.json.get("status") == "success"

    @property
    def error(self):
        """The `error` object of an SqlResponse, {} where there is none."""
        found = self.json.get("error") if isinstance(self.json, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def code(self):
        return self.error.get("code")

    @property
    def message(self):
        return self.error.get("message", "")

    @property
    def results(self):
        return self.json["results"]

    def __repr__(self):
        return f"<{self.status} {self.text[:300]}>"


def names(result):
    """The column names of a QueryResult."""
    return [field["name"] for field in result.get("schema", [])]


def flush(root, statement, timeout_s=DEADLINE_S):
    """Runs a FLUSH statement as an administrator and waits until everything written before it lies in segments."""
    done = False

    def is_over():
        nonlocal done
        live = root.count(
            "system.jobs", "WHERE job_type = 'flush' AND status IN ('new', 'queued', 'running', 'retrying')"
        )
        if live:
            return False
        if done:
            return True
        # Until it is accepted: a flush that is running already may have begun before the last write.
        done = "already queued or running" not in root.result(statement)["message"]
        return False

    wait_until(is_over, statement, timeout_s, interval_s=0.003)


def wait_for_job(root, job_id, timeout_s=DEADLINE_S):
    """Waits until the job has ended well, and returns what its message tells."""

    def ended():
        status, message = root.rows("SELECT status, message FROM system.jobs WHERE job_id = $1", [job_id])[0]
        assert status not in ("failed", "cancelled"), (job_id, status, message)
        return message if status in ("completed", "skipped") else None

    return json.loads(wait_until(ended, f"the end of job {job_id}", timeout_s))


def wait_for_failure(root, job_id):
    """Waits until the job has failed, and returns why."""

    def ended():
        status, message = root.rows("SELECT status, message FROM system.jobs WHERE job_id = $1", [job_id])[0]
        assert status != "completed", message
        return message if status == "failed" else None

    return wait_until(ended, f"the failure of job {job_id}")


class Client:
    """Talks to one server as one user: by token, or without identity when `token` is None."""

    def __init__(self, host, port, token=None, user=None, timeout_s=ANSWER_TIMEOUT_S):
        self.host = host
        self.port = port
        self.token = token
        self.user = user
        self.timeout_s = timeout_s
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def request(self, method, path, body=None, headers=None):
        """Sends one request as it is given. A dict or list as body is sent as JSON. A connection that the server closed
        while it was idle is opened anew, once; a request that may have run is never repeated."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        fresh = self.connection is None
        if fresh:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            self.connection.request(method, path, body=body, headers=headers)
            answer = self.connection.getresponse()
            response = Response(answer.status, answer.headers, answer.read())
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if fresh or method != "GET":
                raise
            return self.request(method, path, body, headers)
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self.close()
        return response

    def auth_headers(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def sql(self, sql, params=None, namespace=None, headers=None):
        """POST /v1/api/sql; the Response, whatever it says."""
        body = {"sql": sql}
        if params is not None:
            body["params"] = params
        if namespace is not None:
            body["namespace_id"] = namespace
        return self.request("POST", "/v1/api/sql", body, {**self.auth_headers(), **(headers or {})})

    def run(self, sql, params=None, namespace=None):
        """Runs SQL that must succeed; the list of its results."""
        response = self.sql(sql, params, namespace)
        if not response.ok:
            raise SqlError(sql, response)
        return response.results

    def result(self, sql, params=None, namespace=None):
        """The one result of one statement that must succeed."""
        results = self.run(sql, params, namespace)
        assert len(results) == 1, f"{len(results)} results for one statement: {sql}"
        return results[0]

    def rows(self, sql, params=None, namespace=None):
        """The rows of a SELECT, each a list in the order of the columns."""
        result = self.result(sql, params, namespace)
        assert "rows" in result, f"no row set for: {sql}"
        assert result["row_count"] == len(result["rows"]), f"row_count is wrong for: {sql}"
        return result["rows"]

    def dicts(self, sql, params=None, namespace=None):
        """The rows of a SELECT as dictionaries by column name."""
        result = self.result(sql, params, namespace)
        return [dict(zip(names(result), row)) for row in result["rows"]]

    def value(self, sql, params=None, namespace=None):
        """The single cell of a single row."""
        rows = self.rows(sql, params, namespace)
        assert len(rows) == 1 and len(rows[0]) == 1, f"not one cell but {rows!r} for: {sql}"
        return rows[0][0]

    def count(self, table, where=""):
        return int(self.value(f"SELECT COUNT(*) FROM {table} {where}"))

    def affected(self, sql, params=None, namespace=None):
        """How many rows a DML statement changed."""
        return self.result(sql, params, namespace)["row_count"]

    def fails(self, sql, pattern="", status=400, code=None, params=None, namespace=None):
        """Runs SQL that must fail so; the Response."""
        response = self.sql(sql, params, namespace)
        shown = sql if len(sql) < 300 else sql[:300] + "…"
        assert not response.ok, f"succeeded, but should fail: {shown}\n{response.text[:500]}"
        assert response.status == status, f"HTTP {response.status}, not {status}, for: {shown}\n{response.text[:500]}"
        assert (
            code is None or response.code == code
        ), f"{response.code}, not {code}, for: {shown}\n{response.text[:500]}"
        assert re.search(pattern, response.message), f"no match for {pattern!r} in {response.message!r}: {shown}"
        return response

    def flush(self, table, timeout_s=DEADLINE_S):
        flush(self, f"STORAGE FLUSH TABLE {table}", timeout_s)

    def job(self, statement, root=None, timeout_s=DEADLINE_S):
        """Runs a statement that starts one job, waits until it has ended well, and returns what its message tells.
        `root` reads system.jobs where the caller must not."""
        found = re.search(r"Job ID: (\S+)", self.result(statement)["message"])
        assert found, f"no job was started by {statement}"
        return wait_for_job(root or self, found[1], timeout_s)

    def login(self, user, password):
        return self.request("POST", "/v1/api/auth/login", {"user": user, "password": password})
