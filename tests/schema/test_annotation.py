"""The chain of annotations: whole chains are whole, any other change but an appended entry shows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from repro.schema.annotation import Annotation, broken_at, continued, settled, standing
from repro.schema.plain_text import plain

ATTEMPT = "toy/mean@replicate@cpu-00000000-1"
KINDS = ("confirmed", "disputed", "invalidated", "author_reply")


def chain(*kinds: str) -> tuple[Annotation, ...]:
    entries: tuple[Annotation, ...] = ()
    for place, kind in enumerate(kinds):
        new = Annotation(ATTEMPT, kind, f"Reader {place} <r@example.org>", "2024-05-01T10:00:00+00:00", f"why {place}")  # type: ignore[arg-type]
        entries = (*entries, continued(entries, new))
    return entries


def settle(entries: tuple[Annotation, ...], dispute: Annotation) -> tuple[Annotation, ...]:
    new = Annotation(ATTEMPT, "confirmed", "A. Judge", "2024-05-02T10:00:00+00:00", "looked again", dispute.digest)
    return (*entries, continued(entries, new))


chains = st.lists(st.sampled_from(KINDS), min_size=1, max_size=6).map(lambda kinds: chain(*kinds))


@given(chains)
def test_a_chain_as_it_was_written_is_whole(entries: tuple[Annotation, ...]) -> None:
    assert broken_at(entries) is None
    assert entries[0].previous == ""
    assert [entry.previous for entry in entries[1:]] == [entry.digest for entry in entries[:-1]]


@given(chains, st.data())
def test_an_earlier_entry_cannot_be_removed_moved_or_doubled(
    entries: tuple[Annotation, ...], data: st.DataObject
) -> None:
    if len(entries) < 2:
        return
    place = data.draw(st.integers(0, len(entries) - 2))
    removed = entries[:place] + entries[place + 1 :]
    doubled = entries[: place + 1] + entries[place:]
    swapped = (*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :])
    assert broken_at(removed) == place
    assert broken_at(doubled) == place + 1
    assert broken_at(swapped) == place


@given(chains, st.data())
def test_an_edited_entry_shows_even_with_a_digest_that_fits(
    entries: tuple[Annotation, ...], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    field, value = data.draw(
        st.sampled_from([("who", "Somebody Else"), ("why", "never mind"), ("when", "2020-01-01"), ("attempt", "other")])
    )
    edited = replace(entries[place], **{field: value})
    assert broken_at((*entries[:place], edited, *entries[place + 1 :])) == place
    resealed = (*entries[:place], edited.with_digest(), *entries[place + 1 :])
    # The last entry has no successor that would name it; the ledger's tag and version control do.
    assert broken_at(resealed) == (place + 1 if place + 1 < len(entries) else None)


def test_what_entries_make_of_an_attempt() -> None:
    assert standing(()) is None
    assert standing(chain("confirmed", "author_reply")) is None
    assert standing(chain("disputed")) == "disputed"
    assert standing(chain("disputed", "confirmed")) == "disputed", "a plain confirmation settles nothing"
    assert standing(chain("disputed", "invalidated")) == "invalidated"


def test_a_dispute_is_settled_by_a_confirmation_that_names_it() -> None:
    disputed = chain("disputed", "disputed")
    once = settle(disputed, disputed[0])
    assert (standing(once), settled(once)) == ("disputed", {disputed[0].digest})
    assert standing(settle(once, disputed[1])) is None
    again = settle(once, disputed[1])
    new = continued(again, Annotation(ATTEMPT, "disputed", "C", "2024-05-03", "still wrong"))
    assert standing((*again, new)) == "disputed"


def test_nothing_settles_an_invalidation_or_a_dispute_that_comes_later() -> None:
    entries = chain("invalidated")
    assert standing(settle(entries, entries[0])) == "invalidated"
    dispute = chain("disputed")[0]
    early = Annotation(ATTEMPT, "confirmed", "B", "2024-01-01", "fine", settles=dispute.digest)
    assert standing((early, dispute)) == "disputed"


def test_plain_text_shows_what_is_seen_and_nothing_else() -> None:
    assert plain("a\x1b[31mb\r\n c\u202ed\x00\u200b") == "a [31mb c d"
    assert plain("Müller <m@example.org>, Étude 1") == "Müller <m@example.org>, Étude 1"
    assert plain("\x07\u200b \n") == ""
