"""
Makes the job of each cell of a matrix from one compiled `[[jobs]]` table.

Parts that are equal for all cells are made once and shared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import orjson
from pydantic import JsonValue, ValidationError

from orchestrator.model.ids import JobKey
from orchestrator.model.jobs import (
    KEY,
    CollectPlan,
    Expectation,
    ItemsQuery,
    Job,
    JobInput,
    Mode,
    RunOptions,
    Target,
    TargetKind,
    Webhook,
)
from orchestrator.model.rules import Action, Rule
from orchestrator.specfile.diagnostics import plain, unknown
from orchestrator.specfile.jobs.checks import OWN_FILES, rendered_part
from orchestrator.specfile.jobs.defaults import Merged
from orchestrator.specfile.jobs.input_files import InputFiles
from orchestrator.specfile.jobs.job_input import JSON_TYPE, InputTemplate
from orchestrator.specfile.model import CollectTable, ExpectTable, JobFields, RuleTable
from orchestrator.specfile.templates.filters import as_text
from orchestrator.specfile.templates.template import Render, TemplateMistake
from orchestrator.specfile.templates.trees import Values, renderer
from orchestrator.specfile.text.positions import Path as FieldPath

MADE_APART = {
    "name",
    "input",
    "input_file",
    "input_content_type",
    "collect",
    "mode",
    "rules",
    "expect",
    "reuse",
}
TEXTS = ("actor", "task", "build", "output_record_key", "input_content_type")
OPTIONS = ("timeout_secs", "memory_mbytes", "max_items", "max_total_charge_usd",
           "restart_on_error", "build", "force_permission_level")  # fmt: skip
PLAIN = ("output_record_key", "wait_for_finish_secs", "retries", "priority", "abort_after_factor")
"""Fields that `Job` has under the same name."""
FILE_FIELDS = ("input", "input_file", "rules")
"""Fields that name files."""
MOST_PARTS = 1024
"""How many different settings of the cells of a sweep are cached."""

P = ParamSpec("P")
T = TypeVar("T")


class CellMistake(Exception):
    """The mistakes of one cell, each with its place in the text."""

    def __init__(self, found: list[tuple[FieldPath, str]]) -> None:
        super().__init__(found)
        self.found = found


class JobMaker:
    """
    Makes the jobs of one table.

    Args:
        merged: the table over the defaults, without mistakes so far.
        params: the parameters of the spec that reports show.
        folders: by each of `FILE_FIELDS`, the folder that file names in it are relative to.
        pools: the names of all pools.
        unkept: parameters that reports do not show.

    Raises:
        CellMistake: a part that is equal for all cells has a mistake.
    """

    def __init__(
        self,
        merged: Merged,
        *,
        params: Mapping[str, JsonValue],
        files: InputFiles,
        folders: Mapping[str, Path],
        pools: Collection[str],
        unkept: Collection[str] = (),
    ) -> None:
        self._merged = merged
        self._unkept = unkept
        self._params = params
        self._files = files
        self._folders = folders
        self._pools = pools
        fields = merged.fields
        self._name = fields["name"]
        self._moving = self._renderers(fields)
        self._shifting = [name for name in self._moving if name not in MADE_APART]
        # A name with a template gives each cell another file.
        self._has_own_file = "input" in fields and "input_file" in self._moving
        self._input = self._input_template() if "input" in fields else None
        self._mode = Mode(fields.get("mode") or Mode.ASYNC)
        self._collect = collect_plan(fields.get("collect"), self._mode)
        self._expect = _expectation(fields.get("expect"))
        self._plain_rules = tuple(map(_rule, fields.get("rules") or ()))
        self._rule_inputs = self._rule_input_templates()
        self._rules = () if "rules" in self._moving else self._made_rules({})
        self._parts = {} if self._shifting else self._parts_of({})
        self._known_parts: dict[bytes, dict[str, Any]] = {}

    def make(self, seq: int, cell: Mapping[str, JsonValue], values: Values) -> Job:
        """
        The job of a cell.

        Args:
            values: the names that templates may use.

        Raises:
            CellMistake: the job has mistakes.
        """
        key = self.key(values)
        parts = self._shifted_parts(values) if self._shifting else self._parts
        return Job(
            seq=seq,
            key=key,
            mode=self._mode,
            input=self._input_of(values),
            params=self._kept_params(cell),
            collect=self._collect,
            expect=self._expect,
            reuse_secs=self._merged.fields.get("reuse"),
            rules=self._rules_of(values),
            **parts,
        )

    def key(self, values: Values) -> JobKey:
        """
        Only the key of the job of a cell.

        Raises:
            CellMistake: the name gives no valid key.
        """
        return self._at("name", self._key, values)

    def mistakes(self, values: Values) -> list[tuple[FieldPath, str]]:
        """All mistakes of a cell, each with its place; `make` stops at the first one."""
        found: list[tuple[FieldPath, str]] = []
        for check in (self.key, self._shifted_parts, self._input_of, self._rules_of):
            try:
                check(values)
            except CellMistake as mistake:
                found += mistake.found
        return found

    def _rules_of(self, values: Values) -> tuple[Rule, ...]:
        return self._made_rules(values) if "rules" in self._moving else self._rules

    def _made_rules(self, values: Values) -> tuple[Rule, ...]:
        made = list(self._plain_rules)
        for index, template in self._rule_inputs.items():
            body = self._at(("rules", index, "input"), template.make, values).body or b""
            made[index] = replace(made[index], input=body.decode())
        return tuple(made)

    def _rule_input_templates(self) -> dict[int, InputTemplate]:
        """The compiled `input` of each rule that has one, by its place."""
        return {
            index: self._at(
                ("rules", index, "input"), InputTemplate, rule.input, self._reader("rules")
            )
            for index, rule in enumerate(self._merged.fields.get("rules") or ())
            if rule.input is not None
        }

    def _reader(self, name: str) -> Callable[[str], str]:
        """Reads the texts that a field names."""
        return lambda text_file: self._files.text(self._folders[name] / text_file)

    def _kept_params(self, cell: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        params = {**self._params, **cell}
        for name in self._unkept:
            params.pop(name, None)
        return params

    def _renderers(self, fields: Mapping[str, Any]) -> dict[str, Render]:
        found = {}
        for name, value in fields.items():
            if name == "input":
                continue
            render = self._at(name, renderer, rendered_part(name, value))
            if render is not None:
                found[name] = render
        return found

    def _at(
        self, name: str | FieldPath, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a step; turns its mistake into one of a field, or of a part of it."""
        try:
            return make(*args, **kwargs)
        except TemplateMistake as mistake:
            part = (name,) if isinstance(name, str) else name
            place = self._merged.place(*part, *mistake.path)
            raise CellMistake([(place, str(mistake))]) from mistake

    def _rendered(self, name: str, values: Values) -> Any:
        render = self._moving.get(name)
        return self._merged.fields.get(name) if render is None else render(values)

    def _key(self, values: Values) -> JobKey:
        text = _text_of(self._rendered("name", values))
        if not KEY.fullmatch(text):
            raise TemplateMistake(
                f"{text[:80]!r} is not a valid job key: use 1 to 200 of A-Za-z0-9._=-, with no dot "
                "at the start; the filter slug makes any text valid"
            )
        return JobKey(text)

    def _input_template(self) -> InputTemplate:
        below = None
        if "input_file" in self._merged.fields and not self._has_own_file:
            below = self._at("input_file", self._table_below, {})
        table = self._merged.fields["input"]
        return self._at("input", InputTemplate, table, self._reader("input"), below)

    def _input_of(self, values: Values) -> JobInput:
        if self._input is not None:
            below = (
                self._at("input_file", self._table_below, values) if self._has_own_file else None
            )
            return self._at("input", self._input.make, values, below)
        if "input_file" not in self._merged.fields:
            return JobInput()
        return self._at("input_file", self._file_of, values)

    def _file_of(self, values: Values) -> JobInput:
        content_type = self._rendered("input_content_type", values) or JSON_TYPE
        return self._files.get(self._path_of(values), str(content_type))

    def _table_below(self, values: Values) -> dict[str, Any]:
        return self._files.table(self._path_of(values))

    def _path_of(self, values: Values) -> Path:
        return self._folders["input_file"] / _text_of(self._rendered("input_file", values))

    def _shifted_parts(self, values: Values) -> dict[str, Any]:
        rendered = {name: self._at(name, self._moving[name], values) for name in self._shifting}
        # Cells differ mostly in their inputs; equal settings are checked once.
        sign = orjson.dumps(rendered)
        parts = self._known_parts.get(sign)
        if parts is None:
            parts = self._parts_of(rendered)
            # Bounded: a sweep may have another setting in each of a million cells.
            if len(self._known_parts) < MOST_PARTS:
                self._known_parts[sign] = parts
        return parts

    def _parts_of(self, rendered: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of a job that come from plain fields, checked again after rendering."""
        fields = {
            name: self._at(name, _as_given, name, value)
            for name, value in {**self._merged.fields, **rendered}.items()
            if name not in MADE_APART
        }
        if "webhooks" in fields:
            fields["webhooks"] = _webhooks(self._merged.fields["webhooks"], fields["webhooks"])
        try:
            # Templates were let by unchecked; now they are values, with types and bounds.
            table = JobFields.model_validate(fields)
        except ValidationError as error:
            raise CellMistake(
                [
                    (self._merged.place(*detail["loc"]), plain(detail))
                    for detail in error.errors(include_url=False)
                ]
            ) from error
        self._check_pools(table.pools or ())
        return job_parts(table)

    def _check_pools(self, pools: Collection[str]) -> None:
        found = [
            (self._merged.place("pools", index), unknown(pool, self._pools, "pool"))
            for index, pool in enumerate(pools)
            if pool not in self._pools
        ]
        if found:
            raise CellMistake(found)


def job_parts(table: JobFields) -> dict[str, Any]:
    """The fields of `Job`, from rendered fields."""
    if table.actor is not None:
        target = Target(kind=TargetKind.ACTOR, id=table.actor)
    else:
        target = Target(kind=TargetKind.TASK, id=table.task or "")
    webhooks = tuple(
        Webhook(**{**hook.model_dump(), "event_types": tuple(hook.event_types)})
        for hook in table.webhooks or ()
    )
    options = {name: getattr(table, name) for name in OPTIONS}
    plain_ones = {name: value for name in PLAIN if (value := getattr(table, name)) is not None}
    return {
        "target": target,
        "options": RunOptions(**options, webhooks=webhooks),
        "tags": tuple(dict.fromkeys(table.tags or ())),
        "pools": tuple(dict.fromkeys(table.pools or ())),
        "needs": tuple(dict.fromkeys(table.needs or ())),
        **plain_ones,
    }


def collect_plan(table: CollectTable | None, mode: Mode) -> CollectPlan:
    """What to download; in sync mode the output record too, unless the spec says no."""
    given = {} if table is None else table.model_dump(exclude_none=True)
    settled: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    own = {name: settled.pop(name) for name in OWN_FILES if name in settled}
    output = settled.pop("output", mode is Mode.SYNC)
    return CollectPlan(output=output, **own, query=ItemsQuery(**settled))


def _expectation(table: ExpectTable | None) -> Expectation | None:
    if table is None:
        return None
    return Expectation(
        min_items=table.min_items,
        max_items=table.max_items,
        max_drop=table.max_drop,
        fields=tuple(table.fields or ()),
        share=table.share or {},
        schema=table.json_schema,
        unique=tuple(table.unique or ()),
        max_duration_secs=table.max_duration_secs,
    )


def _rule(table: RuleTable) -> Rule:
    """A rule without the input that it changes, which may differ between jobs."""
    given = table.model_dump(exclude_none=True, exclude={"input"})
    many = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Rule(**{**given, **many, "do": Action(table.do)})


def _as_given(name: str, value: Any) -> Any:
    """The rendered value of a field; as text if the field is text."""
    if name in ("tags", "pools", "needs"):
        return [_text_of(element) for element in value]
    return _text_of(value) if name in TEXTS else value


def _text_of(value: Any) -> str:
    try:
        return str(as_text(value))
    except ValueError as error:
        raise TemplateMistake(str(error)) from error


def _webhooks(tables: list[Any], rendered: list[Any]) -> list[dict[str, Any]]:
    """Webhooks with their rendered texts in place."""
    return [
        hook.model_dump(exclude_none=True) | (texts if isinstance(texts, dict) else {})
        for hook, texts in zip(tables, rendered, strict=True)
    ]
