"""Who may come in: tokens, roles, lockout."""

import pytest
from kalam_testlib import Server, ServerConfig, tokens
from kalam_testlib.server import ROOT_PASSWORD, USER_PASSWORD


def try_token(server, token, header="Bearer {}"):
    return server.client().sql("SELECT CURRENT_USER()", headers={"Authorization": header.format(token)})


def test_without_authorization(server):
    response = server.client().sql("SELECT 1")
    assert response.status == 401
    assert set(response.json) == {"status", "error", "results", "took"}
    assert response.json["status"] == "error" and response.json["results"] == []
    assert response.json["error"] == {"code": "MISSING_AUTHORIZATION", "message": "Authentication required"}


def test_good_tokens_made_by_hand_are_good(server, alice):
    """The forgeries below must fail for what is wrong in them, not for how this test makes tokens."""
    assert try_token(server, tokens.sign(tokens.claims("alice", "user"))).results[0]["rows"] == [["alice"]]
    assert try_token(server, tokens.sign(tokens.claims("root", "system"))).ok
    assert try_token(server, tokens.sign(tokens.claims("alice", "user", valid_s=-30))).ok, "60 s of leeway"


def test_token_says_what_it_should(server, alice):
    claims = tokens.claims_of(alice.token)
    assert (claims["sub"], claims["iss"], claims["role"], claims["token_type"]) == (
        "alice",
        "kalamdb",
        "user",
        "access",
    )
    assert claims["exp"] - claims["iat"] == 24 * 3600 and "email" in claims
    login = server.client().login("alice", USER_PASSWORD).json
    refresh = tokens.claims_of(login["refresh_token"])
    assert refresh["token_type"] == "refresh" and refresh["exp"] - refresh["iat"] == 7 * 24 * 3600


def test_expired_token(server, alice):
    response = try_token(server, tokens.sign(tokens.claims("alice", "user", valid_s=-100)))
    assert (response.status, response.code, response.message) == (401, "TOKEN_EXPIRED", "Invalid credentials")


GOOD = {"user": "alice", "role": "user"}


def without(claims, name):
    return {key: value for key, value in claims.items() if key != name}


FORGED = {
    "another secret": tokens.sign(tokens.claims(**GOOD), secret="another-secret-that-is-long-enough-000000"),
    "empty secret": tokens.sign(tokens.claims(**GOOD), secret=""),
    "no algorithm": tokens.sign(tokens.claims(**GOOD), algorithm="none"),
    "no algorithm, in capitals": tokens.sign(tokens.claims(**GOOD), algorithm="NONE"),
    "HS512": tokens.sign(tokens.claims(**GOOD), algorithm="HS512"),
    "RS256 named, HS256 made": tokens.sign(tokens.claims(**GOOD), header={"alg": "RS256"}),
    "a key of its own": tokens.sign(
        tokens.claims(**GOOD), secret="x" * 40, header={"jwk": {"kty": "oct", "k": tokens.encode_part(b"x" * 40)}}
    ),
    "a key from elsewhere": tokens.sign(tokens.claims(**GOOD), secret="x" * 40, header={"jku": "http://127.0.0.1:9/k"}),
    "a critical extension": tokens.sign(tokens.claims(**GOOD), header={"crit": ["x"], "x": 1}),
    "refresh token": tokens.sign(tokens.claims(**GOOD, token_type="refresh")),
    "no token type": tokens.sign(tokens.claims(**GOOD, token_type=None)),
    "another token type": tokens.sign(tokens.claims(**GOOD, token_type="admin")),
    "another issuer": tokens.sign(tokens.claims(**GOOD, iss="https://elsewhere.example")),
    "another role": tokens.sign(tokens.claims("alice", "dba")),
    "an unknown user": tokens.sign(tokens.claims("nobody", "user")),
    "no user": tokens.sign(without(tokens.claims(**GOOD), "sub")),
    "no expiry": tokens.sign(without(tokens.claims(**GOOD), "exp")),
    "an expiry that is text": tokens.sign(tokens.claims(**GOOD, exp="tomorrow")),
    "not valid yet": tokens.sign(tokens.claims(**GOOD, nbf=4000000000)),
    "signature cut": tokens.sign(tokens.claims(**GOOD))[:-4],
    "signature left out": tokens.sign(tokens.claims(**GOOD)).rsplit(".", 1)[0],
    "a part too many": tokens.sign(tokens.claims(**GOOD)) + ".x",
    "payload changed": ".".join(
        part if at != 1 else tokens.encode_part(tokens.claims("root", "system"))
        for at, part in enumerate(tokens.sign(tokens.claims(**GOOD)).split("."))
    ),
    "no token": "",
    "noise": "%%%.&&&.***",
    "long": "a" * 20000,
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_tokens(server, alice, name):
    response = try_token(server, FORGED[name])
    assert response.status == 401 and response.code in ("INVALID_CREDENTIALS", "MISSING_AUTHORIZATION"), response
    assert (
        server.client().request("GET", "/v1/api/auth/me", headers={"Authorization": f"Bearer {FORGED[name]}"}).status
        == 401
    )
    ws = server.websocket(server.client(FORGED[name] or "x"), wait_for_auth=False)
    assert ws.wait_closed()[0] == 1008
    assert [message["type"] for message in ws.messages] == ["auth_error"]


@pytest.mark.parametrize("header", ["{}", "Token {}", "bearer", "Basic {}", "Basic !!!", "Bearer", "Basic cm9vdA=="])
def test_malformed_authorization(server, alice, header):
    response = try_token(server, alice.token, header)
    assert response.status == 401 and response.code in ("INVALID_CREDENTIALS", "MISSING_AUTHORIZATION"), response


def test_role_change_and_drop_take_effect_at_once(server, root):
    eve = server.create_user("eve")
    assert eve.value("SELECT CURRENT_ROLE()") == "user"
    live = server.websocket(eve)
    root.run("ALTER USER 'eve' ROLE service")
    response = eve.sql("SELECT 1")
    assert (response.status, response.code) == (401, "INVALID_CREDENTIALS"), "the token names another role"
    live.wait_closed()
    again = server.client().login("eve", USER_PASSWORD).json
    assert again["user"]["role"] == "service"
    eve.token = again["access_token"]
    assert eve.value("SELECT CURRENT_ROLE()") == "service"
    root.run("DROP USER 'eve'")
    assert eve.sql("SELECT 1").status == 401
    assert server.client().login("eve", USER_PASSWORD).json == {
        "error": "unauthorized",
        "message": "Invalid credentials",
    }
    refresh = server.client().request(
        "POST", "/v1/api/auth/refresh", headers={"Authorization": f"Bearer {again['refresh_token']}"}
    )
    assert (refresh.status, refresh.json["message"]) == (401, "User no longer valid")


def test_password_change(server, root):
    dan = server.create_user("dan")
    root.run("ALTER USER 'dan' SET PASSWORD 'another-good-one'")
    assert server.client().login("dan", USER_PASSWORD).status == 401
    assert server.client().login("dan", "another-good-one").status == 200
    dan = server.login("dan", "another-good-one")
    dan.run("ALTER USER 'dan' SET PASSWORD 'my-own-choice-1'")
    assert server.client().login("dan", "my-own-choice-1").status == 200
    dan.fails("ALTER USER 'alice' SET PASSWORD 'not-mine-to-say'", status=403, code="PERMISSION_DENIED")


@pytest.mark.parametrize("password", ["short", "", "x" * 73, "password", "12345678"])
def test_weak_passwords(root, password):
    root.fails(f"CREATE USER 'weak' WITH PASSWORD '{password}' ROLE user", "(?i)password")


@pytest.mark.parametrize("name", ["", "a/b", "../up", "a\\\\b"])
def test_impossible_user_names(root, name):
    root.fails(f"CREATE USER '{name}' WITH PASSWORD 'long-enough-1' ROLE user")


def test_passwords_are_in_no_error(root):
    response = root.fails("CREATE USER 'x' WITH PASSWORD 'secret-in-error' ROLE emperor")
    assert "secret-in-error" not in response.text


def test_lockout(server, root):
    server.create_user("locky")
    client = server.client()
    for _ in range(5):
        assert client.login("locky", "wrong").json == {"error": "unauthorized", "message": "Invalid credentials"}
    locked = client.login("locky", USER_PASSWORD)
    assert locked.status == 401 and locked.json["error"] == "account_locked" and "minute" in locked.json["message"]
    guess = client.login("locky", "wrong")
    assert guess.json == {"error": "unauthorized", "message": "Invalid credentials"}, "nothing is told to who guesses"
    assert client.login("root", ROOT_PASSWORD).status == 200, "other accounts are not touched"
    # Success before the fifth failure starts the count anew.
    server.create_user("sometimes")
    for _ in range(3):
        for _ in range(4):
            client.login("sometimes", "wrong")
        assert client.login("sometimes", USER_PASSWORD).status == 200


def test_lockout_survives_a_restart():
    with Server(ServerConfig(auth={"lockout_attempts": 2})) as server:
        server.create_user("two")
        client = server.client()
        client.login("two", "wrong")
        client.login("two", "wrong")
        assert client.login("two", USER_PASSWORD).json["error"] == "account_locked"
        server.restart()
        assert client.login("two", USER_PASSWORD).json["error"] == "account_locked"


def test_secret_is_generated_and_kept():
    with Server(ServerConfig(auth={"jwt_secret": None})) as server:
        token = server.root().token
        assert try_token(server, tokens.sign(tokens.claims("root", "system"))).status == 401
        assert try_token(server, tokens.sign(tokens.claims("root", "system"), secret="")).status == 401
        server.restart()
        assert try_token(server, token).ok, "tokens outlive a restart"
        secrets = [path for path in server.data_path.rglob("*") if path.is_file() and "secret" in path.name]
        assert all(path.stat().st_mode & 0o077 == 0 for path in secrets), "nobody else may read it"


def test_another_servers_token_is_not_good(server):
    with Server(ServerConfig(auth={"jwt_secret": None})) as other:
        assert try_token(server, other.root().token).status == 401


def test_root_password_of_the_environment_holds_on_first_start_only():
    with Server() as server:
        server.root().run("ALTER USER 'root' SET PASSWORD 'changed-by-root-1'")
        server.restart()
        assert server.client().login("root", "changed-by-root-1").status == 200
        assert server.client().login("root", ROOT_PASSWORD).status == 401
