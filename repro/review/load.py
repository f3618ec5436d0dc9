"""The book as it stands on this machine: catalogue, ledger and current seals."""

import json
from collections.abc import Mapping
from functools import lru_cache

from repro.review.book import Book
from repro.schema.errors import StoreError
from repro.schema.places import current_seals_file


def open_book() -> Book:
    """Read claims, papers and studies from the catalogue and attempts from the ledger.

    Raises:
        ReproError: if a claim, the ledger or the file of current seals cannot be read.
    """
    # Late: pages.py and figures.py are imported where neither a catalogue nor a ledger is needed.
    from repro.catalog.index import load_index
    from repro.catalog.load import load_claim, load_papers, load_studies
    from repro.ledger.read import calibrations, load_attempts, load_trials

    return Book(
        # One claim that cannot be read must not hide the others; `repro list` names it.
        claims={name: load_claim(name) for name in load_index().claims},
        papers=load_papers(),
        studies=load_studies(),
        attempts=tuple(load_attempts()),
        # The page of a claim, the page of an attempt and its table show the same trials.
        trials=lru_cache(maxsize=32)(load_trials),
        current_seals=current_seals(),
        calibrations=calibrations(),
    )


def current_seals() -> Mapping[str, str]:
    """Return the seal of every attempt as it would be made now, by `claim@protocol@scale-number`; none if never computed.

    Raises:
        StoreError: if the file is damaged.
    """
    file = current_seals_file()
    try:
        seals = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{file} cannot be read ({error}). Remove it: `repro pages` and `repro serve` write it again."
        ) from error
    if not isinstance(seals, dict) or not all(isinstance(seal, str) for seal in seals.values()):
        raise StoreError(
            f"{file} must hold one seal by name. Remove it: `repro pages` and `repro serve` write it again."
        )
    return seals
