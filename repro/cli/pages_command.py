"""`repro pages`."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def pages(
    out: Annotated[Path, typer.Option("--out", help="Directory to write the pages to.")] = Path("pages"),
) -> None:
    """Write the pages as a static site for a file or server.

    They show the ledger and the published results together. REPRO_SITE, where it is set, is the address that they will
    have: citations and badges name it.

    \b
    Example:
      repro pages --out pages && open pages/index.html
    """
    from rich.console import Console

    from repro.launch.planning.planned import write_planned
    from repro.launch.staleness import write_stale
    from repro.review.load import open_book
    from repro.review.site import write_site

    with Console(stderr=True).status("drawing the pages"):
        write_stale()
        write_planned()
        book = open_book()
        written = write_site(book, out)
    for name, problems in book.problems.items():
        for problem in problems:
            print(f"warning: {name}: {problem}", file=sys.stderr)
    print(f"{len(written)} files written. Open {(out / 'index.html').resolve().as_uri()}")
