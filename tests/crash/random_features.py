"""Specs that combine features at random, and what their batches must come to."""

from __future__ import annotations

import random
from dataclasses import dataclass

COST_USD = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """
    What a spec uses: searches, profiles of their items, details of those, and a report.

    Attributes:
        searches: how many there are.
        items: how many each search makes.
        above: the condition of a row, on the index of its item; -1 for no condition.
        chunk: how many items make one profile; 0 for a profile of each.
        is_distinct: whether equal rows of several searches make one profile.
        takes_output: whether rows are the elements of output records, and not items.
        fails: the jobs whose first attempt fails.
        waits: the jobs that are started by a request that waits for their end (`mode = "sync"`).
        reuses: whether profiles and details take results of earlier batches.
        form: of the merged results; empty if they are not merged.
    """

    searches: int
    items: int
    above: int
    chunk: int
    is_distinct: bool
    takes_output: bool
    fails: str
    waits: str
    reuses: bool
    has_details: bool
    has_report: bool
    has_pool: bool
    has_budget: bool
    form: str
    max_runs: int
    duration_secs: float
    order: int

    @property
    def profiles(self) -> int:
        """How many there must be."""
        rows = self.items - 1 - self.above
        if self.is_distinct:
            return rows
        return self.searches * (-(-rows // self.chunk) if self.chunk else rows)

    @property
    def details(self) -> int:
        """How many there must be."""
        return self.profiles if self.has_details else 0

    @property
    def jobs(self) -> int:
        """How many there must be."""
        return self.searches + self.profiles + self.details + self.has_report

    @property
    def rows(self) -> int:
        """How many items all jobs make."""
        return self.searches * self.items + 2 * self.profiles + self.details + self.has_report

    @property
    def runs(self) -> int:
        """How many runs a first batch needs."""
        again = {"search": self.searches, "profile": self.profiles}
        return self.jobs + again.get(self.fails, 0)

    @property
    def later_runs(self) -> int:
        """How many runs a later batch needs: an attempt that has failed once fails no more."""
        return self.jobs - (self.profiles + self.details if self.reuses else 0)

    def spec(self) -> str:
        """The spec, as TOML."""
        # A table of items stands below what makes them.
        parts = [self._search(), self._profile() + (self._detail() if self.has_details else "")]
        if self.has_report:
            parts.append(self._report())
        random.Random(self.order).shuffle(parts)  # noqa: S311 - to be repeatable
        budget = f"max_cost_usd = {self.runs * COST_USD}\n" if self.has_budget else ""
        return (
            f'[batch]\nname = "shops"\nschedule = "0 0 * * *"\ntimezone = "UTC"\n{budget}'
            f"max_runs = {self.max_runs}\n"
            + ("[pools]\nshop = { max_runs = 2 }\n" if self.has_pool else "")
            + (f'[results]\nformat = "{self.form}"\n' if self.form else "")
            + '[defaults]\nactor = "orchestrator/simulated"\nretries = 1\n'
            + f"max_total_charge_usd = {COST_USD}\n"
            + "".join(parts)
        )

    def _search(self) -> str:
        elements = ", ".join(f'{{ q = "{{{{ q }}}}", index = {n} }}' for n in range(self.items))
        return (
            '[[jobs]]\nname = "search-{{ q }}"\n'
            f"matrix = {{ q = {{ range = [1, {self.searches}] }} }}\n"
            + ("collect = { output = true }\n" if self.takes_output else "")
            + self._input("search", self.items, 'q = "{{ q }}"', f", output = [{elements}]")
        )

    def _profile(self) -> str:
        name, fields = "profile-{{ q }}-{{ n }}", '{ q = "q", n = "index" }'
        item, more = 'n = "{{ n }}", of = "{{ source }}"', ""
        if self.above >= 0:
            more += f', where = "index > {self.above}"'
        if self.chunk:
            name, more = "profile-{{ source }}-{{ chunk }}", f"{more}, chunk = {self.chunk}"
        if self.takes_output:
            more += ", output = true"
        if self.is_distinct:
            name, fields, item = "profile-{{ n }}", '{ n = "index" }', 'n = "{{ n }}"'
            more += ", distinct = true"
        return (
            f'[[jobs]]\nname = "{name}"\n'
            + ('pools = ["shop"]\n' if self.has_pool else "")
            + self._reuse()
            + self._input("profile", 2, item)
            + f'[jobs.matrix]\nrows = {{ needs = "search-*", fields = {fields}{more} }}\n'
        )

    def _detail(self) -> str:
        return (
            '[[jobs]]\nname = "detail-{{ source }}"\n'
            + self._reuse()
            + self._input("detail", 1, 'of = "{{ source }}-{{ i }}"')
            + "[jobs.matrix]\n"
            + 'rows = { needs = "profile-*", fields = { i = "index" }, where = "index == 1" }\n'
        )

    def _report(self) -> str:
        needs = "detail-*" if self.has_details else "profile-*"
        return f'[[jobs]]\nname = "report"\nneeds = ["{needs}"]\n' + self._input(
            "report", 1, f"runs = '{{{{ needs[\"{needs}\"].run_id }}}}'"
        )

    def _input(self, kind: str, items: int, item: str, more: str = "") -> str:
        mode = 'mode = "sync"\n' if kind == self.waits else ""
        fails = "fail_attempts = 1, " if kind == self.fails else ""
        return (
            f"{mode}input = {{ {fails}duration_secs = {self.duration_secs}, cost_usd = {COST_USD}, "
            f"items = {items}, item = {{ {item} }}{more} }}\nexpect = {{ min_items = {items} }}\n"
        )

    def _reuse(self) -> str:
        return 'reuse = "1h"\n' if self.reuses else ""


def draw(chance: random.Random) -> Features:
    """Some features."""
    items = chance.randint(1, 7)
    chunk = chance.choice([0, 0, 2, 3])
    return Features(
        searches=chance.randint(1, 14),
        items=items,
        above=chance.choice([-1, -1, chance.randrange(items)]),
        chunk=chunk,
        is_distinct=not chunk and chance.random() < 0.3,
        takes_output=chance.random() < 0.3,
        fails=chance.choice(["", "", "search", "profile"]),
        waits=chance.choice(["", "", "search", "profile", "report"]),
        reuses=chance.random() < 0.5,
        has_details=chance.random() < 0.5,
        has_report=chance.random() < 0.5,
        has_pool=chance.random() < 0.3,
        has_budget=chance.random() < 0.3,
        form=chance.choice(["", "jsonl", "csv"]),
        max_runs=chance.choice([1, 2, 5, 20, 50]),
        duration_secs=chance.choice([0.01, 0.01, 0.1, 0.3]),
        order=chance.randrange(1000),
    )
