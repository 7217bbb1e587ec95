"""A server on this machine that knows ranges, and can be told to misbehave."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server has and does. `asked`: the Range of each request, "" for none; `sent`: bytes of bodies."""

    files: dict[str, bytes]
    etag: str = '"one"'
    ranges: bool = True
    drop_after: int = 0  # bytes of a body after which the connection is cut; 0: never
    drops: int = 0  # how many more times it is cut
    status: int = 0  # an error to answer with
    asked: list[str] = field(default_factory=list)
    sent: int = 0
    address: str = ""

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


@contextmanager
def serving(**files: bytes) -> Iterator[Served]:
    """A server of `files`; in their names `_` stands for a dot."""
    served = Served({name.replace("_", "."): content for name, content in files.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            served.asked.append(asked)
            if served.status:
                self.send_error(served.status)
                return
            content = served.files.get(self.path.rpartition("/")[2])
            if content is None:
                self.send_error(404)
                return
            begin = 0
            same = self.headers.get("If-Range", served.etag) == served.etag
            if asked and served.ranges and same:
                begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
                if begin >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - begin))
            if served.etag:
                self.send_header("ETag", served.etag)
            self.end_headers()
            body = content[begin:]
            if served.drop_after and served.drops:
                served.drops -= 1
                body = body[: served.drop_after]
                self.close_connection = True
            served.sent += len(body)
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: tests read what was asked from `served`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
