"""A fake client for tests that need few methods: it is each of the client's parts itself."""

from __future__ import annotations

from typing import Self


class WholeClient:
    """A fake client whose `runs`, `storages`, `actors` and `account` are one object."""

    @property
    def runs(self) -> Self:
        return self

    @property
    def storages(self) -> Self:
        return self

    @property
    def actors(self) -> Self:
        return self

    @property
    def account(self) -> Self:
        return self
