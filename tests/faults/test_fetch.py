"""Downloads: only when asked, from where they stopped, checked, and one line without a network."""

from __future__ import annotations

import hashlib
import http.server
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from minigen.data import fetch, load
from minigen.data.fetch import Source
from minigen.errors import InputError


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as members:
        members.writestr("ml-100k/u.data", "1\t2\t5\t881250949\n1\t3\t4\t881250950\n")
        members.writestr("ml-100k/u.item", "2|GoldenEye (1995)\n3|Four Rooms (1995)\n")
        members.writestr("../../u.data", "9\t9\t5\t881250949\n")  # its bare name is there already
        members.writestr("ml-100k/mku.sh", "#!/bin/sh\n")
    return buffer.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """One file, from where it is asked for; `cut` bytes of the first answer, `ranges` that were asked for."""

    content, cut, ranges, goes_on = b"", 0, [], True

    class RequestHandlerClass(http.server.BaseHTTPRequestHandler):
        server: Server

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            self.server.ranges.append(wanted)
            start = int(wanted[6:-1]) if wanted and self.server.goes_on else 0
            if start and start >= len(self.server.content):
                self.send_error(416)
                return
            rest = self.server.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: self.server.cut] if self.server.cut else rest)
            self.server.cut = 0

        def log_message(self, *arguments: object) -> None:
            """Nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    Server.content, Server.ranges = archive(), []
    with Server(("127.0.0.1", 0), Server.RequestHandlerClass) as running:
        url = f"http://127.0.0.1:{running.server_address[1]}/ml-100k.zip"
        md5 = hashlib.md5(Server.content).hexdigest()
        monkeypatch.setitem(fetch.SOURCES, "movielens-100k", Source(url, md5))
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def test_a_set_is_fetched_once_and_read(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    folder = fetch.fetch("movielens-100k", tmp_path, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(server.content), len(server.content))
    assert sorted(path.name for path in folder.iterdir()) == ["u.data", "u.item"]
    events = load(folder)
    assert events.collect().select("user", "item", "weight").rows() == [("1", "2", 5.0), ("1", "3", 4.0)]
    assert events.item_names["2"] == "GoldenEye (1995)"
    assert fetch.fetch("movielens-100k", tmp_path) == folder
    assert server.ranges == [None]  # the second time nothing was asked for


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_download_that_broke_off_goes_on(server: Server, tmp_path: Path, goes_on: bool) -> None:
    server.cut, server.goes_on = 100, goes_on
    with pytest.raises(InputError, match=r"broke off at 100 of .* the same command goes on"):
        fetch.fetch("movielens-100k", tmp_path)
    assert (tmp_path / "ml-100k.zip.part").stat().st_size == 100
    assert not (tmp_path / "ml-100k.zip").exists()
    fetch.fetch("movielens-100k", tmp_path)
    assert server.ranges == [None, "bytes=100-"]
    assert (tmp_path / "ml-100k.zip").read_bytes() == server.content
    assert not (tmp_path / "ml-100k.zip.part").exists()


def test_a_part_that_is_whole_is_asked_for_no_more(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-100k.zip.part").write_bytes(server.content)
    assert (fetch.fetch("movielens-100k", tmp_path) / "u.data").exists()


def test_another_file_than_the_published_one_is_removed(server: Server, tmp_path: Path) -> None:
    server.content = server.content[:-1] + b"x"
    with pytest.raises(InputError, match="its makers say"):
        fetch.fetch("movielens-100k", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_lacks_the_file_is_quoted(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server.RequestHandlerClass, "do_GET", lambda self: self.send_error(404))
    with pytest.raises(InputError, match=r"ml-100k\.zip: the server answers 404 Not Found"):
        fetch.fetch("movielens-100k", tmp_path)
    assert not list(tmp_path.glob("*.zip"))


def test_without_a_network_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/a.zip", "http://no-such-host.invalid/a.zip"):
        monkeypatch.setitem(fetch.SOURCES, "movielens-1m", Source(url, "0"))
        with pytest.raises(InputError, match="cannot be reached"):
            fetch.fetch("movielens-1m", tmp_path)


def test_nothing_is_fetched_without_being_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_network(*arguments: object) -> None:
        raise AssertionError("somebody went to the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    with pytest.raises(InputError, match="minigen data fetch movielens-1m downloads it"):
        load("movielens-1m")
    with pytest.raises(InputError, match="there are movielens-100k"):
        fetch.fetch("movielens", tmp_path)
