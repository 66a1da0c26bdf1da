"""A service in another language: it listens where PARLEY_LISTEN says, and that is the whole contract."""

import json
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETINGS = {"en": "Hello", "de": "Hallo", "fr": "Bonjour", "es": "Hola", "ja": "こんにちは"}


class Words(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        language = self.path.removeprefix("/greetings/")
        greeting = GREETINGS.get(language)
        if greeting is None:
            known = ", ".join(sorted(GREETINGS))
            self.answer(404, {"title": f"No greeting in {language[:20]!r}; there are {known}", "status": 404})
        else:
            self.answer(200, {"language": language, "greeting": greeting})

    def answer(self, status, document):
        body = json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "sidecar"

    def log_message(self, format, *args):
        print(json.dumps({"level": "info", "service": "words", "message": format % args}), flush=True)


class UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX
    daemon_threads = True

    def server_bind(self):
        if os.path.exists(self.server_address):
            os.unlink(self.server_address)
        previous = os.umask(0o177)
        try:
            self.socket.bind(self.server_address)
        finally:
            os.umask(previous)
        self.server_name, self.server_port = "words", 0


def server():
    listen = os.environ.get("PARLEY_LISTEN", "")
    scheme, _, rest = listen.partition(":")
    if scheme == "unix":
        return UnixServer(rest, Words)
    if scheme == "tcp":
        host, _, port = rest.rpartition(":")
        return ThreadingHTTPServer((host, int(port)), Words)
    sys.exit(f"PARLEY_LISTEN is {listen!r}; it should be unix:/path or tcp:host:port")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server().serve_forever()
