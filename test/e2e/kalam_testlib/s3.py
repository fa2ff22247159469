"""An S3 service for tests: s3rver (installed by scripts/setup), and a gateway in front of it that is as strict as S3
about signatures, conditions and the ends of multipart uploads, which s3rver is not, and that fails as it is told to.

    with S3Service() as s3:
        s3.url, s3.bucket, s3.access_key, s3.secret_key
        s3.gateway.fail({"kind": "status", "status": 503, "code": "SlowDown"})   # the next request
        s3.gateway.go_away(); s3.gateway.come_back()
"""

import collections
import hashlib
import http.client
import http.server
import json
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import urllib.parse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import percent_encode

from .conditions import DEADLINE_S
from .server import REPOSITORY

REGION = "us-east-1"


class Gateway:
    """Passes requests on to the service at `target` ("host:port").

    Faults are dictionaries, each for one request, in the order of fail(); they have a "kind":
      pass         nothing happens to this one
      status       answered with "status" and "code", not passed on
      ok_error     answered with status 200 and an error of "code" in the body, not passed on
      refuse       the connection is reset, the request not passed on
      lost_answer  passed on, then the connection is reset
      cut          passed on; the answer ends after "after" bytes of its body
      hang         never answered
      flood        answered with a body that does not end
      redirect     answered with status 307 to "location"
    """

    def __init__(self, target, credentials):
        self.target = target
        self.credentials = credentials  # access key -> (secret key, session token or None)
        self.lock = threading.Lock()
        self.faults = collections.deque()
        self.seen = []
        self.conditions = threading.Lock()  # one conditional put at a time
        self.knows_conditions = True  # some services do not
        self.uploads = set()  # ids of multipart uploads that are neither complete nor aborted
        self.server = None
        self.port = 0
        self.come_back()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def fail(self, *faults):
        with self.lock:
            self.faults.extend(faults)

    def recover(self):
        """Faults that no request has met are forgotten."""
        with self.lock:
            self.faults.clear()

    def take_fault(self, method, path):
        with self.lock:
            self.seen.append(f"{method} {path}")
            return self.faults.popleft() if self.faults else {"kind": "pass"}

    def take_seen(self):
        """The requests since the last call, as "METHOD path?query"."""
        with self.lock:
            seen, self.seen = self.seen, []
            return seen

    def go_away(self):
        """Connections are refused until come_back()."""
        self.server.shutdown()
        self.server.server_close()
        self.server.close_connections()

    def come_back(self):
        handler = type("Handler", (GatewayHandler,), {"gateway": self})
        self.server = GatewayServer(("127.0.0.1", self.port), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.go_away()


class GatewayServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self):
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed meanwhile

    def handle_error(self, request, client_address):
        pass  # clients that give up are what is tested


class Refusal(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status = status
        self.code = code


class GatewayHandler(http.server.BaseHTTPRequestHandler):
    gateway = None
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *unused):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.gateway.take_fault(self.command, self.path)
        kind = fault["kind"]
        if kind == "refuse":
            self.reset()
        elif kind == "hang":
            self.connection.recv(1)  # until the client gives up
            self.close_connection = True
        elif kind == "status":
            self.answer_error(fault["status"], fault["code"], fault.get("message", "Injected"))
        elif kind == "ok_error":
            self.answer_error(200, fault["code"], "Injected")
        elif kind == "redirect":
            self.answer(307, [("Location", fault["location"])], b"")
        elif kind == "flood":
            self.flood()
        else:
            self.pass_on(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def pass_on(self, body, fault):
        try:
            self.check_signature(body)
            upload_id = self.query().get("uploadId")
            if upload_id and upload_id not in self.gateway.uploads:
                raise Refusal(404, "NoSuchUpload", "The specified multipart upload does not exist.")
            conditional = self.command == "PUT" and ("If-Match" in self.headers or "If-None-Match" in self.headers)
            if conditional and not self.gateway.knows_conditions:
                raise Refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
            if conditional:
                with self.gateway.conditions:
                    self.check_condition()
                    status, headers, answer = self.forward(self.command, body)
            elif upload_id and self.command == "DELETE":  # which s3rver does not know
                status, headers, answer = 204, [], b""
            else:
                status, headers, answer = self.forward(self.command, body)
            if status < 300 and upload_id and self.command in ("POST", "DELETE"):
                self.gateway.uploads.discard(upload_id)
            if status < 300 and self.command == "POST" and "uploads" in self.query():
                self.gateway.uploads.add(re.search(rb"<UploadId>(.+?)</UploadId>", answer)[1].decode())
        except Refusal as refusal:
            self.answer_error(refusal.status, refusal.code, str(refusal))
            return
        if fault["kind"] == "lost_answer":
            self.reset()
        elif fault["kind"] == "cut":
            self.answer(status, headers, answer, cut_after=fault["after"])
        else:
            self.answer(status, headers, answer)

    def query(self):
        return dict(urllib.parse.parse_qsl(self.path.partition("?")[2], keep_blank_values=True))

    def forward(self, method, body=b""):
        """The service's status, headers and body."""
        connection = http.client.HTTPConnection(self.gateway.target, timeout=DEADLINE_S)
        try:
            # The signature has been checked, and s3rver knows no other keys than its own.
            headers = {
                name: value
                for name, value in self.headers.items()
                if not name.lower().startswith("if-") and name.lower() != "authorization"
            }
            if method != self.command:
                headers.pop("Content-Length", None)
            # The bucket may be in the host's name: *.localhost is this machine.
            bucket = re.match(r"(.+)\.localhost:", self.headers["Host"])
            connection.request(method, (f"/{bucket[1]}" if bucket else "") + self.path, body or None, headers)
            response = connection.getresponse()
            hop_by_hop = ("connection", "keep-alive", "transfer-encoding", "date", "content-length")
            kept = [(name, value) for name, value in response.getheaders() if name.lower() not in hop_by_hop]
            answer = response.read()
            if method == "HEAD":
                kept.append(("Content-Length", response.headers.get("Content-Length", "0")))
            return response.status, kept, answer
        finally:
            connection.close()

    def check_condition(self):
        """s3rver puts whatever the condition; S3 does not."""
        status, headers, _ = self.forward("HEAD")
        etag = dict((name.lower(), value) for name, value in headers).get("etag") if status == 200 else None
        if self.headers.get("If-None-Match") == "*" and etag is not None:
            raise Refusal(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
        if "If-Match" in self.headers and etag is None:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.")
        if "If-Match" in self.headers and self.headers["If-Match"] != etag:
            raise Refusal(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")

    def check_signature(self, body):
        """As S3 does, with the code of AWS's own client."""
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/s3/aws4_request,"
            r" ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
            self.headers.get("Authorization", ""),
        )
        if not found:
            raise Refusal(403, "AccessDenied", "Access Denied")
        access_key, region, signed_headers, signature = found.groups()
        if access_key not in self.gateway.credentials:
            raise Refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        if region != REGION:
            raise Refusal(400, "AuthorizationHeaderMalformed", f"the region '{region}' is wrong; expecting '{REGION}'")
        secret_key, token = self.gateway.credentials[access_key]
        if self.headers.get("X-Amz-Security-Token") != token:
            raise Refusal(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        path = self.path.partition("?")[0]
        names = signed_headers.split(";")
        unsigned = [name for name in self.headers if name.lower().startswith("x-amz-") and name.lower() not in names]
        request = AWSRequest(
            self.command,
            f"http://{self.headers['Host']}{percent_encode(urllib.parse.unquote(path), safe='/~')}",
            headers={name: self.headers[name] for name in names},
            params=self.query(),
        )
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        auth = S3SigV4Auth(Credentials(access_key, secret_key), "s3", region)
        expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        if unsigned or "host" not in names or signature != expected:
            raise Refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        if self.headers["X-Amz-Content-Sha256"] != hashlib.sha256(body).hexdigest():
            raise Refusal(400, "XAmzContentSHA256Mismatch", "The provided header does not match what was computed.")

    def answer(self, status, headers, body, cut_after=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD" and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut_after is None else body[:cut_after])
        self.wfile.flush()
        if cut_after is not None:
            self.close_connection = True

    def answer_error(self, status, code, message):
        body = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
        self.answer(status, [("Content-Type", "application/xml")], body)

    def flood(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while True:  # ends with an exception when the client closes
            self.wfile.write(b"x" * 65536)

    def reset(self):
        """Closes so that the client's next read fails rather than ends."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


class ControlServer:
    """The gateway by HTTP, for tests in other languages. POST a JSON object:
    {"fail": [faults]}, {"away": true or false}. The answer has the requests "seen" since the last one, and the "uploads"
    that are under way."""

    def __init__(self, gateway):
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *unused):
                pass

            def do_POST(self):
                command = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                gateway.fail(*command.get("fail", []))
                if "away" in command:
                    gateway.go_away() if command["away"] else gateway.come_back()
                body = json.dumps({"seen": gateway.take_seen(), "uploads": sorted(gateway.uploads)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class S3Service:
    """s3rver on a directory of its own, with one bucket, behind a gateway. A context manager."""

    bucket = "kalamdb"
    access_key = "S3RVER"  # the only ones that s3rver knows
    secret_key = "S3RVER"

    def __enter__(self):
        program = REPOSITORY / ".deps/s3rver/node_modules/s3rver/bin/s3rver.js"
        assert program.exists(), "s3rver is missing: run scripts/setup"
        self.directory = tempfile.mkdtemp(prefix="kalamdb-s3-")
        # Its continuation tokens are encrypted with DES, which OpenSSL 3 counts as legacy.
        self.process = subprocess.Popen(
            ["node", "--openssl-legacy-provider", str(program), "--directory", self.directory, "--address", "127.0.0.1", "--port", "0", "--silent",
             "--no-vhost-buckets", "--configure-bucket", self.bucket],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        target = None
        for line in self.process.stdout:
            if found := re.match(r"S3rver listening on (127\.0\.0\.1:\d+)", line):
                target = found[1]
                break
        assert target, "s3rver did not start"
        self.gateway = Gateway(target, {self.access_key: (self.secret_key, None)})
        return self

    def __exit__(self, *unused):
        self.gateway.close()
        self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def url(self):
        return self.gateway.url

    def create_storage(self, name, prefix=None, access_key=None, secret_key=None, options=""):
        """The statement that declares the bucket, or what lies below `prefix` in it, as a storage."""
        credentials = {
            "access_key_id": access_key or self.access_key,
            "secret_access_key": secret_key or self.secret_key,
        }
        path = self.bucket if prefix is None else f"{self.bucket}/{prefix}"
        return (
            f"CREATE STORAGE {name} TYPE s3 BUCKET '{path}' CREDENTIALS '{json.dumps(credentials)}' "
            f"CONFIG '{json.dumps({'endpoint': self.gateway.url})}' {options}"
        )

    def request(self, method, name, body=None):
        """Gets or puts an object as another client of the service does."""
        connection = http.client.HTTPConnection(self.gateway.target, timeout=DEADLINE_S)
        try:
            connection.request(method, f"/{self.bucket}/{name}", body)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, f"{method} {name}: {response.status} {answer}"
            return answer
        finally:
            connection.close()

    def objects(self, prefix=""):
        """The names of the objects that begin with `prefix`, sorted."""
        base = pathlib.Path(self.directory) / self.bucket
        suffix = "._S3rver_object"
        # The service removes directories that are empty, the bucket's too, maybe in the midst.
        while base.exists():
            try:
                names = [str(path.relative_to(base)) for path in base.rglob("*" + suffix)]
            except FileNotFoundError:
                continue
            return sorted(name.removesuffix(suffix) for name in names if name.startswith(prefix))
        return []
