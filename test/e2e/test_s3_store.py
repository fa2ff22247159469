"""The S3 store (test/s3_test.cc) against an S3 service that also fails."""

import os
import subprocess

from kalam_testlib.s3 import ControlServer, S3Service
from kalam_testlib.server import REPOSITORY

PROGRAM = os.environ.get("S3_TEST_BIN", REPOSITORY / "build/release/s3_test")


def test_s3_store():
    with S3Service() as s3:
        control = ControlServer(s3.gateway)
        try:
            environment = {
                **os.environ,
                "KALAMDB_S3_ENDPOINT": s3.url,
                "KALAMDB_S3_CONTROL": control.url,
                "KALAMDB_S3_BUCKET": s3.bucket,
                "KALAMDB_S3_ACCESS_KEY": s3.access_key,
                "KALAMDB_S3_SECRET_KEY": s3.secret_key,
                "http_proxy": "http://127.0.0.1:1",  # which it must not use
            }
            done = subprocess.run([str(PROGRAM)], env=environment, capture_output=True, text=True, check=False)
        finally:
            control.close()
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-4000:]
    assert "[  PASSED  ]" in done.stdout
