from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.app.history.estimates import PlacedSecs

PLACES = st.integers(0, 40)


@given(
    st.lists(st.tuples(PLACES, st.one_of(st.none(), st.floats(0, 1e6)))),
    st.lists(PLACES, max_size=9),
)
def test_placed_secs_hold_what_a_dictionary_would(
    changes: list[tuple[int, float | None]], asked: list[int]
) -> None:
    """A job whose run took a known time is found with it until it has started."""
    held, wanted = PlacedSecs(), dict[int, float]()
    for seq, secs in changes:
        if secs is None:
            assert held.pop(seq, None) == wanted.pop(seq, None)
        else:
            held[seq] = wanted[seq] = secs
    assert (len(held), dict(held)) == (len(wanted), wanted)
    assert [held.get(seq) for seq in asked] == [wanted.get(seq) for seq in asked]
