"""Run the benchmarks and print one line each: `python -m benchmarks [start_up] [tracking] [scaling_fits] [evidence] [training] [attention] [diffusion] [self_play] [dashboard] [launching] [planning]`."""

import platform
import sys
from importlib import import_module

BENCHMARKS = (
    "start_up",
    "tracking",
    "scaling_fits",
    "evidence",
    "training",
    "attention",
    "diffusion",
    "self_play",
    "dashboard",
    "launching",
    "planning",
)


def main() -> None:
    """Run the named benchmarks, or all."""
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    for name in sys.argv[1:] or BENCHMARKS:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
