"""The pages of a book as they are served, without MLflow, under the strict policy."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import make_server

from repro.review.book import Book
from repro.review.server import serve as served
from repro.review.server.shelf import Shelf


@contextmanager
def serving(read: Callable[[], Book]) -> Iterator[str]:
    """Serve the book that `read` returns on a port of its own, and give the address of the overview."""
    app = Flask("test")
    app.register_blueprint(served._pages(Shelf(read)))
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/repro/"
    server.shutdown()
    thread.join()
