"""Numbers behind a picture as a CSV file."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from repro.review.wording.readable import readable

Line = Mapping[str, Any]


def csv_text(lines: Sequence[Line]) -> str:
    """Return rows as CSV, with the columns of all of them in the order in which they come up; None is an empty cell.

    A text that a spreadsheet would take for a formula is quoted with an apostrophe.

    >>> csv_text([{"part": "=1+1", "value": -0.5}, {"part": "a", "n": "-3"}])
    "part,value,n\\n'=1+1,-0.5,\\na,,-3\\n"
    """
    columns = list(dict.fromkeys(name for line in lines for name in line))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(_safe, columns))
    writer.writerows([_safe(line.get(name, "")) for name in columns] for line in lines)
    return readable(stream.getvalue())


def _safe(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
