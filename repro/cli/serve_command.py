"""`repro serve`."""

from typing import Annotated

import typer


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 5000,
) -> None:
    """Serve the pages and MLflow on one port, until Ctrl-C.

    \b
    Example:
      repro serve --port 5001
    """
    from repro.launch.planning.planned import write_planned
    from repro.launch.staleness import write_stale
    from repro.review.server.serve import serve as serve_pages

    write_stale()
    write_planned()
    raise typer.Exit(serve_pages(host=host, port=port))
