from __future__ import annotations

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.app.supervisors.cron_fields import fields_of, plain_cron
from orchestrator.errors import UsageError
from orchestrator.model.schedule import ANY_TIME


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("15 2 * * *", "15 2 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("*/15 9-17 * * mon-fri", "*/15 9-17 * * 1-5"),
        ("5/20 1 * jan 7", "5,25,45 1 * 1 0"),
        ("0 5 1,15 * MON", "0 5 1,15 * 1"),
    ],
)
def test_cron_is_written_in_the_common_notation(text: str, plain: str) -> None:
    """Names, Sunday as 7 and a step without a range become plain numbers."""
    assert plain_cron(fields_of(text), "cron", star_steps=False) == plain


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 0 L * *", "uses L, W or #"),
        ("0 0 * * 1#2", "uses L, W or #"),
        ("0 0 0 * * *", "has seconds"),
        ("0 0 */2 * 1", "both the day and the weekday"),
    ],
)
def test_cron_refuses_what_a_supervisor_cannot_express(text: str, reason: str) -> None:
    """The message names the reason, and what to do instead."""
    with pytest.raises(UsageError, match=reason) as error:
        plain_cron(fields_of(text), "Kubernetes", star_steps=False)
    assert "choose another schedule" in str(error.value)


PARTS = [(0, 59), (0, 23), (1, 28), (1, 12), (0, 7)]


@st.composite
def notations(draw: st.DrawFn) -> str:
    """Cron notation of numbers, ranges, steps and lists."""
    fields = []
    for low, high in PARTS:
        number = st.integers(low, high)
        one = st.one_of(
            st.just("*"),
            number.map(str),
            st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
            st.tuples(number, st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        )
        fields.append(",".join(draw(st.lists(one, min_size=1, max_size=2))))
    return " ".join(fields)


@given(notations())
def test_plain_cron_has_the_same_times(text: str) -> None:
    """The installed schedule is due exactly at the times of the spec."""
    plain = plain_cron(fields_of(text), "cron", star_steps=True)
    one, other = CronSim(text, ANY_TIME), CronSim(plain, ANY_TIME)
    assert [next(one) for _ in range(5)] == [next(other) for _ in range(5)]
