"""The HTTP endpoints beside /v1/api/sql: statuses and bodies as clients of version 0.4 know them."""

import datetime
import re

import pytest
from kalam_testlib import Server, wait_until
from kalam_testlib.server import ROOT_PASSWORD, USER_PASSWORD


def is_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None


# --- auth endpoints


def check_login(body, user, role):
    assert set(body) == {"user", "admin_ui_access", "expires_at", "access_token", "refresh_token", "refresh_expires_at"}
    assert set(body["user"]) == {"id", "role", "email", "created_at", "updated_at"}
    assert (body["user"]["id"], body["user"]["role"]) == (user, role)
    assert body["admin_ui_access"] is (role in ("dba", "system"))
    assert all(map(is_time, (body["expires_at"], body["refresh_expires_at"], body["user"]["created_at"])))


def check_cookies(response):
    cookies = {line.split("=")[0]: line for line in response.headers.get_all("Set-Cookie")}
    assert set(cookies) == {"kalamdb_auth", "kalamdb_refresh"}
    for line in cookies.values():
        assert {"HttpOnly", "SameSite=Strict", "Path=/", "Secure"} <= {part.strip() for part in line.split(";")}, line


def test_login(server, root, alice):
    anonymous = server.client()
    response = anonymous.login("root", ROOT_PASSWORD)
    assert response.status == 200
    check_login(response.json, "root", "system")
    check_cookies(response)
    aliased = anonymous.request("POST", "/v1/api/auth/login", {"username": "alice", "password": USER_PASSWORD})
    check_login(aliased.json, "alice", "user")


@pytest.mark.parametrize(
    "user, password", [("alice", "wrong"), ("nobody", USER_PASSWORD), ("alice", ""), ("ALICE", USER_PASSWORD)]
)
def test_login_refused(server, alice, user, password):
    response = server.client().login(user, password)
    assert response.status == 401
    assert response.json == {"error": "unauthorized", "message": "Invalid credentials"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        {"user": "root"},
        {"password": "x"},
        {"user": "root", "password": "x", "more": 1},
        {"user": 5, "password": "x"},
        {"user": "x" * 129, "password": "x"},
        {"user": "x", "password": "x" * 257},
    ],
)
def test_login_malformed(server, body):
    response = server.client().request("POST", "/v1/api/auth/login", body, {"Content-Type": "application/json"})
    assert response.status == 400 and set(response.json) == {"error", "message"}, response


def test_refresh(server, alice):
    anonymous = server.client()
    login = anonymous.login("alice", USER_PASSWORD).json
    header = {"Authorization": f"Bearer {login['refresh_token']}"}
    response = anonymous.request("POST", "/v1/api/auth/refresh", headers=header)
    assert response.status == 200
    check_login(response.json, "alice", "user")
    check_cookies(response)
    assert server.client(response.json["access_token"]).value("SELECT CURRENT_USER()") == "alice"
    cookie = {"Cookie": f"other=1; kalamdb_refresh={response.json['refresh_token']}"}
    check_login(anonymous.request("POST", "/v1/api/auth/refresh", headers=cookie).json, "alice", "user")
    refused = anonymous.request(
        "POST", "/v1/api/auth/refresh", headers={"Authorization": f"Bearer {login['access_token']}"}
    )
    assert refused.status == 401
    assert refused.json == {"error": "unauthorized", "message": "Refresh endpoint requires a refresh token"}
    assert anonymous.request("POST", "/v1/api/auth/refresh").status == 401


def test_logout(server):
    response = server.client().request("POST", "/v1/api/auth/logout")
    assert response.status == 200 and response.json == {"message": "Logged out successfully"}
    cookies = response.headers.get_all("Set-Cookie")
    assert {line.split("=")[0] for line in cookies} == {"kalamdb_auth", "kalamdb_refresh"}
    assert all(re.search("Max-Age=0|Expires=Thu, 01[ -]Jan[ -]1970", line, re.IGNORECASE) for line in cookies), cookies


def test_me(server, alice):
    for headers in (alice.auth_headers(), {"Cookie": f"kalamdb_auth={alice.token}"}):
        response = server.client().request("GET", "/v1/api/auth/me", headers=headers)
        assert response.status == 200 and set(response.json) == {"user", "admin_ui_access"}
        assert response.json["user"]["id"] == "alice" and response.json["admin_ui_access"] is False
    nobody = server.client().request("GET", "/v1/api/auth/me")
    assert (nobody.status, nobody.json["message"]) == (401, "No auth token found")


def test_status_of_a_server_that_is_set_up(server):
    response = server.client().request("GET", "/v1/api/auth/status")
    assert response.json == {"needs_setup": False, "message": "Server is configured and ready."}
    setup = server.client().request(
        "POST", "/v1/api/auth/setup", {"user": "x", "password": "long-enough-1", "root_password": "long-enough-2"}
    )
    assert setup.status == 409
    assert setup.json == {
        "error": "already_configured",
        "message": "Server has already been configured. Root password is set.",
    }


def test_setup_of_a_new_server():
    with Server(root_password=None) as server:
        client = server.client()
        wait_until(
            lambda: "/v1/api/auth/setup" in "".join(server.stdout + server.stderr), "a word on how to set the password"
        )
        assert client.request("GET", "/v1/api/auth/status").json == {
            "needs_setup": True,
            "message": "Server requires initial setup. Call POST /v1/api/auth/setup with user, password, root_password, "
            "and optional email.",
        }
        refused = client.login("root", "")
        assert refused.status == 428
        assert refused.json == {
            "error": "setup_required",
            "message": "Server requires initial setup. Root password is not configured.",
        }
        assert client.login("root", "guess").status == 401

        def setup(**body):
            return client.request("POST", "/v1/api/auth/setup", body)

        good = {
            "user": "ann",
            "password": "dba-pass-word-1",
            "root_password": "root-pass-word-1",
            "email": "ann@example.com",
        }
        weak = setup(**{**good, "password": "short"})
        assert (weak.status, weak.json["error"]) == (400, "weak_password")
        assert weak.json["message"].startswith("DBA user password: Weak password: ")
        assert setup(**{**good, "root_password": "password"}).json["message"].startswith("Root password: ")
        root = setup(**{**good, "user": "root"})
        assert (root.status, root.json) == (
            400,
            {"error": "invalid_user", "message": "Cannot create a DBA user with user 'root'. Choose a different user."},
        )
        assert setup(**{**good, "user": "a/b"}).json == {"error": "invalid_user", "message": "Invalid user value"}
        assert setup(**good, extra=1).status == 400
        done = setup(**good)
        assert done.status == 200 and set(done.json) == {"user", "message"}
        assert (done.json["user"]["id"], done.json["user"]["role"], done.json["user"]["email"]) == (
            "ann",
            "dba",
            "ann@example.com",
        )
        assert done.json["message"] == (
            "Server setup complete. Root password configured and DBA user 'ann' created. " "Please login to continue."
        )
        assert setup(**{**good, "user": "eve"}).status == 409
        assert client.login("ann", good["password"]).status == 200
        assert client.login("root", good["root_password"]).status == 200
        server.restart()
        assert client.login("root", good["root_password"]).json["user"]["role"] == "system"


# --- health, and everything that is not there


def test_health(server):
    for path in ("/health", "/v1/api/healthcheck"):
        response = server.client().request("GET", path)
        assert response.status == 200
        assert set(response.json) == {"status", "version", "api_version", "build_date"}
        assert (response.json["status"], response.json["api_version"]) == ("healthy", "v1")


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/", 404),
        ("GET", "/v1/api/nothing", 404),
        ("POST", "/v1/api/healthcheck", 405),
        ("GET", "/v1/api/sql", 405),
        ("DELETE", "/v1/api/auth/login", 405),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/v1/api/sql/..%2f..", 404),
    ],
)
def test_unknown_routes_and_methods(server, method, path, status):
    response = server.client().request(method, path)
    assert response.status == status and "error" in response.json, response


def test_keep_alive_and_head_of_line(server, root):
    for number in range(50):
        assert root.value(f"SELECT {number}") == number
    local_port = root.connection.sock.getsockname()[1]
    root.fails("SELEC")
    assert root.value("SELECT 1") == 1
    assert root.connection.sock.getsockname()[1] == local_port, "an error does not close the connection"
