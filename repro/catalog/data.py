"""Published data: found in the mirror or the cache, else downloaded from the canonical address with its sha256."""

from pathlib import Path

from repro.catalog.load import config_files
from repro.catalog.parse import read_yaml
from repro.schema.dataset import DataSet, cache_dir, find, require
from repro.schema.errors import DataError


def terms_of(data: DataSet) -> str | None:
    """Return the address of the terms that a person has to accept before having the file, if its registration names any."""
    file = config_files("data").get(data.id)
    terms: str | None = read_yaml(file).get("terms") if file else None
    return terms


def how_to_accept(data: DataSet, terms: str) -> str:
    """Return what a person does to have a file that nobody may fetch in their name."""
    return (
        f"its publisher gives it to people who accept its terms, so it is not fetched for you. Read {terms}; if you accept them, "
        f"fetch {data.url}, put it at {data.file} below some directory, and name that directory in REPRO_DATA"
    )


def fetch(data: DataSet) -> Path:
    """Return the file of a data set, downloading it into the user's cache if it is nowhere yet.

    Raises:
        DataError: if it cannot be had; names the file, the address and the variable, or the digest that differs.
    """
    here = find(data)
    if here is not None:
        return here
    if data.derived:
        return require(data)  # which says how the table is made
    terms = terms_of(data)
    if terms:
        raise DataError(
            f"Data set '{data.id}' (file {data.file}) is not on this machine, and {how_to_accept(data, terms)}."
        )
    from repro.catalog.download import WrongDigest, download

    target = cache_dir() / "data" / data.file
    try:
        download(data.url, target, data.sha256)
    except WrongDigest as error:
        raise DataError(
            f"What {data.url} serves for data set '{data.id}' is not the registered file: its sha256 must be {data.sha256}, "
            f"got {error}. Nothing was kept. The upstream file has changed or the transfer was altered; put the registered "
            f"file below a directory named in REPRO_DATA as {data.file}."
        ) from error
    except OSError as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        partial = target.with_name(f"{target.name}.partial")
        kept = (
            f" {partial.stat().st_size} bytes of it are here, and the next try goes on from there."
            if partial.is_file()
            else ""
        )
        raise DataError(
            f"Data set '{data.id}' (file {data.file}) is not on this machine, and {data.url} could not be fetched ({reason}).{kept} "
            f"Or fetch the file elsewhere, put it at {data.file} below some directory, and name that directory in REPRO_DATA."
        ) from error
    return target
