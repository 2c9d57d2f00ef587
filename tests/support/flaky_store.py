"""An S3 server of this machine behind a proxy that fails, waits, and cuts replies short."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
from moto.server import ThreadedMotoServer
from obstore.store import MemoryStore, ObjectStore, S3Store

BUCKET = "banks"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


_OWN = ("connection", "transfer-encoding", "date", "server", "content-length")


@dataclass
class Trouble:
    """What goes wrong with requests, as shares of them; `asked` lists the requests that came."""

    fail: float = 0.0
    cut: float = 0.0
    flip: float = 0.0
    seconds: float = 0.0
    draws: random.Random = field(default_factory=lambda: random.Random(0))
    asked: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FlakyServer:
    """An S3 server with a proxy through which every reply passes.

    Attributes:
        trouble: what goes wrong; may be changed at any time.
        environment: the variables with which a client finds the proxy.
    """

    trouble: Trouble
    environment: dict[str, str]


@contextmanager
def flaky_server(folder: Path, prefix: str) -> Iterator[FlakyServer]:
    """Serve a folder's files under a prefix of the bucket."""
    behind = ThreadedMotoServer(port=0, verbose=False)
    behind.start()
    host, port = behind.get_host_and_port()
    trouble = Trouble()
    proxy = _proxy(host, port, trouble)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://{host}:{port}"
        direct = S3Store(
            BUCKET,
            endpoint=endpoint,
            access_key_id="test",
            secret_access_key="test",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        making = http.client.HTTPConnection(host, port)
        making.request("PUT", f"/{BUCKET}")
        assert making.getresponse().status == 200
        upload(folder, direct, prefix)
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        names = {"AWS_ENDPOINT": address, "AWS_ALLOW_HTTP": "true"}
        yield FlakyServer(trouble, CREDENTIALS | names)
    finally:
        proxy.shutdown()
        behind.stop()


def upload(folder: Path, store: ObjectStore | MemoryStore, prefix: str) -> None:
    """Copy a folder's files into a store."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            obstore.put(store, f"{prefix}/{path.relative_to(folder)}", path.read_bytes())


def _proxy(host: str, port: int, trouble: Trouble) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            trouble.asked.append(self.path)
            time.sleep(trouble.seconds)
            if trouble.draws.random() < trouble.fail:
                if trouble.draws.random() < 0.5:
                    self.close_connection = True
                    return
                self.send_error(503)
                return
            behind = http.client.HTTPConnection(host, port)
            behind.request(self.command, self.path, headers=dict(self.headers.items()))
            reply = behind.getresponse()
            data = bytearray(reply.read())
            whole = len(data)
            if self.command == "GET" and "list-type" not in self.path:
                if trouble.draws.random() < trouble.cut:
                    del data[len(data) // 2 :]
                    if trouble.draws.random() < 0.5:
                        whole = len(data)  # and the reply says so
                elif trouble.draws.random() < trouble.flip:
                    data[trouble.draws.randrange(len(data))] ^= 1
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in _OWN:
                    self.send_header(name, value)
            if self.command == "GET":
                self.send_header("Content-Length", str(whole))
            else:
                self.send_header("Content-Length", reply.getheader("Content-Length", "0"))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)
            self.close_connection = whole != len(data)

        do_GET = do_HEAD = _pass  # noqa: N815 - the names that the library calls

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
