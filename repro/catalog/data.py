"""Published data: found in the mirror or the cache, else downloaded from the canonical address with its sha256."""

from pathlib import Path

from repro.schema.dataset import DataSet, cache_dir, find, require
from repro.schema.errors import DataError


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
    import pooch

    target = cache_dir() / "data" / data.file
    pooch.get_logger().setLevel("ERROR")
    try:
        got = pooch.retrieve(data.url, known_hash=f"sha256:{data.sha256}", fname=target.name, path=target.parent)
    except ValueError as error:
        raise DataError(
            f"What {data.url} serves for data set '{data.id}' is not the registered file: its sha256 must be {data.sha256}. "
            f"Nothing was kept. The upstream file has changed or the transfer was altered; put the registered file below a "
            f"directory named in REPRO_DATA as {data.file}."
        ) from error
    except Exception as error:  # requests, urllib3 and the socket each raise their own
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DataError(
            f"Data set '{data.id}' (file {data.file}) is not on this machine, and {data.url} could not be reached ({reason}). "
            f"Fetch the file elsewhere, put it at {data.file} below some directory, and name that directory in the variable REPRO_DATA."
        ) from error
    return Path(got)
