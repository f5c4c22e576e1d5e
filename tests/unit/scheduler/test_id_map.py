from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scheduler.decide.id_map import IdMap


@given(
    st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9))),
    st.lists(st.text(max_size=3)),
    st.integers(0, 9),
)
def test_id_map_holds_what_a_dictionary_would(
    added: list[tuple[str, int]], others: list[str], few: int
) -> None:
    """Every id that was added is found with its first number, and no other id is until then."""
    held, wanted = IdMap(few), dict[str, int]()
    for one, number in added:
        held.add(one, number)
        wanted.setdefault(one, number)
    assert len(held) == len(wanted)
    for one in (*wanted, *others):
        assert held.get(one) == wanted.get(one)
        assert (one in held) == (one in wanted)
    together = list(dict.fromkeys(others))
    assert held.add_new(together) == [one for one in together if one not in wanted]
    assert all(one in held for one in together)
    assert len(held) == len({*wanted, *others})


def test_id_map_stays_right_while_it_grows() -> None:
    """Ten thousand runs of a batch are all found, and runs of others are not."""
    held = IdMap()
    for number in range(10_000):
        held.add(f"run-{number}", number)
    assert [held.get(f"run-{number}") for number in range(10_000)] == [*range(10_000)]
    assert not any(f"other-{number}" in held for number in range(10_000))
