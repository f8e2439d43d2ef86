"""An HTTP server for figures and health: GET /metrics (Prometheus) and GET /health.

It has threads of its own and asks for what it shows, so its clients hold up nobody.
"""

import socket
import socketserver
import threading
from http.client import responses
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

_TIMEOUT_S = 5  # for a client that is silent
_MAX_REQUESTS = 16  # at a time; further ones are closed
_POLL_S = 0.2  # how long closing may take
_TEXT = [("Content-Type", "text/plain; charset=utf-8")]


class MetricsServer:
    """`start()` and `close()`; `address` is the bound one, OSError when that cannot be.

    registry: of prometheus_client. health() returns None, or in one line what is wrong.
    """

    def __init__(self, address, registry, health):
        self._metrics = make_wsgi_app(registry)
        self._health = health
        host, port = address
        family, *_, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self._server = _server_class(family)(found[:2], _Handler)
        self._server.set_app(self._app)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.address = self._server.server_address[:2]

    def start(self):
        self._thread.start()

    def close(self):
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def _serve(self):
        self._server.serve_forever(_POLL_S)

    def _app(self, environ, start_response):
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return _reply(start_response, 405, "only GET")
        if path == "/metrics":
            return self._metrics(environ, start_response)
        if path == "/health":
            fault = self._health()
            return _reply(start_response, 503 if fault else 200, fault or "ok")
        return _reply(start_response, 404, "there are /metrics and /health")


def _reply(start_response, status, line):
    start_response(f"{status} {responses[status]}", list(_TEXT))  # wsgiref adds to it
    return [f"{line}\n".encode("utf-8", "backslashreplace")]


def _server_class(family):
    return type("Server", (_Server,), {"address_family": family})


class _Server(ThreadingWSGIServer):
    request_queue_size = 64

    def __init__(self, *arguments):
        self._places = threading.BoundedSemaphore(_MAX_REQUESTS)
        super().__init__(*arguments)

    def server_bind(self):
        # Without the base class's question to the name server for a name of this host.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = map(str, self.server_address[:2])
        self.setup_environ()

    def process_request(self, request, client_address):
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request, client_address):
        """Nothing: the client has gone, or was silent."""


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT_S

    def log_message(self, format, *args):
        """Nothing: a scrape is no event."""
