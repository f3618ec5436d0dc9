"""What is left to run after a worker process died: it was killed, ran out of memory, or its trial took the process with it."""

import sys
from collections.abc import Callable, Iterator, Sequence

from repro.launch.executors.one_process import in_one_other_process
from repro.launch.planning.keys import key_of
from repro.launch.records.store import RecordStore
from repro.schema.trial import Plan, TrialRecord, TrialSpec

SideBySide = Callable[[Sequence[TrialSpec]], Iterator[TrialRecord]]


def outliving(
    side_by_side: SideBySide, trials: Sequence[TrialSpec], plan: Plan, store: RecordStore
) -> Iterator[TrialRecord]:
    """Run trials side by side by joblib and yield their records; go on when it gives up because a process of its died.

    Nobody knows which of the trials that ran then is to blame, so each of them runs again in a process of its own: the one to
    blame fails with that process's last words, the others finish. The rest then goes on side by side.

    Args:
        side_by_side: runs trials by joblib.
        trials: to run.
        plan: they belong to.
        store: takes the records.
    """
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = list(trials)
    while left:
        done: set[str] = set()
        try:
            for record in side_by_side(left):
                done.add(record.key)
                yield record
            return
        except TerminatedWorkerError:
            left = [spec for spec in left if key_of(spec) not in done]
        began = store.cut_short(left) or left
        print(
            f"warning: a worker process died while {len(began)} trials ran. Each of them runs again in a process of its own.",
            file=sys.stderr,
        )
        for spec in began:
            yield from in_one_other_process([spec], plan, store)
        again = {key_of(spec) for spec in began}
        left = [spec for spec in left if key_of(spec) not in again]
