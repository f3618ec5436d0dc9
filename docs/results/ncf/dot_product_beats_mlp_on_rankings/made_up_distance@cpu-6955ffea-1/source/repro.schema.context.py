"""What a recipe is given besides its config."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _ignore_curve(name: str, step: int, value: float) -> None: ...


def _ignore_progress(done: float) -> None: ...


@dataclass(frozen=True)
class Context:
    """The surroundings of one trial: device, precision, data files, and where curves and progress go.

    The defaults let a recipe run alone: `run(Config(), Context())`.
    """

    device: str = "cpu"
    """`cpu` or `cuda`."""
    precision: str = "float32"
    """`float32`, `bfloat16` or `float64`: the number format of the heavy arithmetic."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Data files by the id of their data set."""
    on_curve: Callable[[str, int, float], None] = _ignore_curve
    on_progress: Callable[[float], None] = _ignore_progress

    def log(self, step: int, **values: float) -> None:
        """Add one point at `step` to each named curve."""
        for name, value in values.items():
            self.on_curve(name, step, value)

    def progress(self, done: float) -> None:
        """Report the fraction of the trial that is done, in [0, 1]."""
        self.on_progress(done)

    def data(self, name: str) -> Path:
        """Return the file of the data set `name`, which the study must list under `data`.

        Raises:
            KeyError: if the study does not list it.
        """
        if name not in self.files:
            raise KeyError(f"data set '{name}' is not listed under 'data' of the study; listed: {sorted(self.files)}")
        return self.files[name]
