#!/usr/bin/python3
"""A registry that serves an OCI layout slowly: so many bytes a second, whoever asks for what. 0: as fast as it can.

    throttled.py LAYOUT BYTES_PER_SECOND

Prints `ready HOST:PORT`, and serves until its standard input ends. Plain HTTP; read-only; ranges are answered. Every image of the layout is
REPOSITORY:latest, its name being the repository.
"""

import http.server
import json
import os
import re
import sys
import threading
import time

LAYOUT, RATE = sys.argv[1], int(sys.argv[2])
PIECE = 16 << 10


class Bucket:
    """All connections share it: who sends waits for his turn."""

    def __init__(self):
        self.lock, self.free = threading.Lock(), time.monotonic()

    def take(self, count):
        with self.lock:
            self.free = max(self.free, time.monotonic()) + count / RATE
            until = self.free
        time.sleep(max(0, until - time.monotonic()))


BUCKET = Bucket()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if self.path.rstrip("/") == "/v2":
            return self.answer(b"{}", "application/json")
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/?]+)(?:\?.*)?", self.path)
        if not found:
            return self.send_error(404)
        repository, kind, what = found.groups()
        with open(os.path.join(LAYOUT, "index.json"), encoding="utf-8") as file:
            named = {item["annotations"]["org.opencontainers.image.ref.name"]: item for item in json.load(file)["manifests"]}
        media_type = "application/octet-stream"
        if kind == "manifests":
            item = named.get(repository.rsplit("/", 1)[-1])
            if not item:
                return self.send_error(404)
            media_type = item["mediaType"]
            what = what if ":" in what else item["digest"]
        path = os.path.join(LAYOUT, "blobs", *what.split(":", 1))
        if not os.path.isfile(path):
            return self.send_error(404)
        self.file(path, media_type, what)

    def file(self, path, media_type, digest):
        size = os.path.getsize(path)
        first, last, status = 0, size - 1, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            first, last, status = int(asked[1]), min(int(asked[2] or last), last), 206
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Docker-Content-Digest", digest)
        self.send_header("Content-Length", str(last + 1 - first))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        with open(path, "rb") as file:
            left = last + 1 - first
            if not RATE:
                self.wfile.flush()
                self.connection.sendfile(file, first, left)
                return
            file.seek(first)
            while left:
                piece = file.read(min(PIECE, left))
                BUCKET.take(len(piece))
                self.wfile.write(piece)
                left -= len(piece)

    def answer(self, body, media_type):
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that goes away in the middle is no fault of ours."""


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"ready 127.0.0.1:{server.server_address[1]}", flush=True)
sys.stdin.read()
