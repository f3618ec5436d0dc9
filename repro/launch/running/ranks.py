"""What runs in the processes of one trial: `python -m repro.launch.running.ranks PLACE COUNT` starts them, torchrun calls it in each.

See `repro.launch.running.several_processes`, which starts this and reads what is left in PLACE.
"""

import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from repro.catalog.roots import config_roots
from repro.launch.running import determinism
from repro.launch.running.several_processes import EVENTS, KILLED, PARENT, TRIAL
from repro.schema.context import Context
from repro.schema.files import write_atomically
from repro.schema.jsonform import from_json
from repro.schema.trial import TrialSpec

LOOK_EVERY_S = 0.2


def start(place: Path, count: int) -> int:
    """Start the processes by torchrun and wait for them; say which was ended by a signal. Return the exit code."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ[PARENT] = str(os.getpid())
    # Standalone: on this machine alone, by a free port that the system gives.
    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={count}", "--monitor-interval=0.1"]
    try:
        run.main([*options, "-m", "repro.launch.running.ranks", str(place)])
    except ChildFailedError as error:
        killed = {
            str(rank): signal.Signals(-failure.exitcode).name
            for rank, failure in error.failures.items()
            if failure.exitcode < 0
        }
        if killed:
            write_atomically(place / KILLED, json.dumps({"signals": killed, "at": time.time()}))
        return 1
    return 0


def run_one(place: Path) -> int:
    """Call the recipe in this process; leave its rows, or what went wrong, in `process_<rank>.json`."""
    rank = int(os.environ["RANK"])
    write_atomically(place / f"{rank}.pid", str(os.getpid()))
    end: dict[str, Any]
    try:
        end = {"rows": _call(place, rank)}
    except Exception as error:
        from repro.launch.running.measured import explain

        end = {"rank": rank, "kind": type(error).__name__, "error": explain(error), "at": time.time()}
    write_atomically(place / f"process_{rank}.json", json.dumps(end))
    return 1 if "error" in end else 0


def _call(place: Path, rank: int) -> list[dict[str, float]]:
    import torch

    from repro.launch.running.trials import config_of

    config_roots()
    trial = json.loads((place / TRIAL).read_text(encoding="utf-8"))
    spec = from_json(TrialSpec, trial["spec"], TRIAL)
    if spec.device == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"the trial asks for {os.environ['WORLD_SIZE']} processes with a GPU each, and this machine has "
                f"{torch.cuda.device_count()}; run it on a machine with as many, or at another scale"
            )
        torch.cuda.set_device(local)  # from here on `cuda` means this one
    files = {name: Path(file) for name, file in trial["files"].items()}
    recipe = importlib.import_module(spec.recipe)
    with (place / EVENTS).open("a", encoding="utf-8", buffering=1) as events:

        def tell(**event: Any) -> None:
            if rank == 0:
                events.write(json.dumps(event) + "\n")

        context = Context(
            device=spec.device,
            precision=spec.precision,
            files=files,
            on_curve=lambda name, step, value: tell(curve=name, step=int(step), value=float(value)),
            on_progress=lambda done: tell(done=float(done)),
        )
        determinism.seed_generators(determinism.seed_of(spec.key))  # as in a trial of one process
        with determinism.arithmetic():
            measured = recipe.run(config_of(recipe, spec), context)
    rows = [measured] if isinstance(measured, dict) else list(measured)
    return [{str(name): float(value) for name, value in row.items()} for row in rows]


def end_with(parent: int) -> None:
    """End this process, whatever it does, soon after its parent has gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with(int(os.environ[PARENT]))
    if "RANK" not in os.environ:
        sys.exit(start(Path(sys.argv[1]), int(sys.argv[2])))
    code = run_one(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of torch's communication now and then abort an interpreter that winds itself up
