"""
From a spec to its jobs, one after the other, in the order of the spec.

A job with a mistake is left out and the others go on, so that every mistake is told at once, at the
end. What is the same for all cells of a sweep is made once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import orjson
from pydantic import JsonValue, ValidationError

from orchestrator.errors import InputRejected, Mistake, SpecError
from orchestrator.model.ids import JobKey
from orchestrator.model.jobs import (
    CollectPlan,
    ItemsQuery,
    Job,
    JobInput,
    Mode,
    RunOptions,
    Target,
    TargetKind,
    Webhook,
)
from orchestrator.spec.inputs import (
    JSON_TYPE,
    InputTemplate,
    Values,
    compiled_at,
    encoded,
    file_input,
    jsonable,
    replaced,
    strings_in,
)
from orchestrator.spec.load import LoadedSpec, place_of
from orchestrator.spec.model import CollectTable, JobFields, JobTable, RangeTable
from orchestrator.spec.positions import Path as FieldPath
from orchestrator.spec.sweep import cells, count_cells, range_values
from orchestrator.spec.templates import TemplateMistake, compile_template, is_template
from orchestrator.spec.words import plain, unknown

KEY = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}")
OPTIONS = ("timeout_secs", "memory_mbytes", "max_items", "max_total_charge_usd",
           "restart_on_error", "build", "force_permission_level")  # fmt: skip
PLAIN = ("output_record_key", "wait_for_finish_secs", "retries", "priority")
"""
Fields of a job that become a field of `Job` of the same name.
"""


def expand(
    loaded: LoadedSpec,
    *,
    params: Mapping[str, str],
    env: Mapping[str, str],
    today: date,
) -> Iterator[Job]:
    """
    The jobs of a spec, lazily; only their keys are kept.

    Args:
        params: the `--param` values, as typed.
        env: the environment; only whether a name is in it matters here.
        today: what `{{ date }}` is.

    Raises:
        SpecError: at the end, with every mistake that was found on the way.
    """
    mistakes = Mistakes(loaded)
    values = {**_params(loaded, params, mistakes), "date": today.isoformat()}
    sweeps = [
        sweep
        for index, table in enumerate(loaded.spec.jobs)
        if (sweep := _sweep(loaded, index, table, values, env, mistakes)) is not None
    ]
    total = sum(count_cells(sweep.matrix) for sweep in sweeps)
    if total > loaded.spec.batch.max_jobs:
        mistakes.add(
            ("batch", "max_jobs"),
            f"the spec expands to {total:,} jobs, more than max_jobs = "
            f"{loaded.spec.batch.max_jobs:,} allows",
        )
        mistakes.raise_if_any()
    seq = 0
    keys: set[str] = set()
    for sweep in sweeps:
        for cell in cells(sweep.matrix):
            job = sweep.job(seq, cell, keys)
            if job is not None:
                seq += 1
                yield job
    mistakes.raise_if_any()


def render_input(job: Job, env: Mapping[str, str]) -> bytes | None:
    """
    The body of a job's input with its secrets rendered.

    Raises:
        InputRejected: a secret cannot be rendered; the message has no value of the environment.
    """
    if job.input.body is None or not job.input.secret_paths:
        return job.input.body
    tree = orjson.loads(job.input.body)
    values = {**job.params, "env": env}

    def rendered(text: str) -> Any:
        missing = sorted(compile_template(text).env_names - env.keys())
        if missing:
            raise InputRejected(
                f"the environment has no {', '.join(missing)}, which the input needs"
            )
        return compile_template(text).render(values)

    try:
        for path in job.input.secret_paths:
            replaced(tree, path, rendered)
        return encoded(tree)
    except TemplateMistake as mistake:
        raise InputRejected(f"the input cannot be rendered: {mistake}") from mistake


class Mistakes:
    """
    The mistakes of an expansion; the first ones are kept, all are counted.
    """

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self._kept: list[Mistake] = []
        self._total = 0

    def add(self, path: FieldPath, message: str) -> None:
        """
        Adds one at a field.
        """
        self._total += 1
        if len(self._kept) < SpecError.SHOWN:
            self._kept.append(self._loaded.mistake(path, message))

    def raise_if_any(self) -> None:
        """
        Raises them all as one SpecError.
        """
        if self._total:
            raise SpecError(sorted(self._kept, key=place_of), total=self._total)


class Sweep:
    """
    One `[[jobs]]` table, compiled: gives the job of each of its cells.
    """

    def __init__(
        self,
        *,
        loaded: LoadedSpec,
        path: FieldPath,
        fields: Mapping[str, Any],
        places: Mapping[str, FieldPath],
        matrix: Mapping[str, Sequence[JsonValue]],
        values: Values,
        names: frozenset[str],
        mistakes: Mistakes,
    ) -> None:
        self.matrix = matrix
        self._folder = loaded.path.parent
        self._path = path
        self._places = places
        self._mistakes = mistakes
        self._fields = fields
        self._base = {
            name: value
            for name, value in values.items()
            if name != "date" or "date" in names or "date" in loaded.spec.params
        }
        self._values = values
        self._moving = {
            name: compile_template(value).render
            for name, value in fields.items()
            if isinstance(value, str) and is_template(value) and name != "input"
        }
        self._input = (
            InputTemplate(fields["input"]) if isinstance(fields.get("input"), dict) else None
        )
        self._mode = Mode(fields.get("mode") or Mode.ASYNC)
        self._collect = _collect_plan(fields.get("collect"), self._mode)
        self._parts = {} if self._moving else self._parts_of(dict(fields))

    def job(self, seq: int, cell: Mapping[str, JsonValue], keys: set[str]) -> Job | None:
        """
        The job of a cell; None, with its mistake noted, when it has one.

        Args:
            keys: those of the jobs before it, folded; the new one is added.
        """
        values = {**self._values, **cell}
        field = "name"
        try:
            rendered = {}
            for field, render in self._moving.items():
                rendered[field] = render(values)
            parts = self._parts_of({**self._fields, **rendered}) if rendered else self._parts
            field = "name"
            key = self._key(rendered.get("name", self._fields["name"]), cell, keys)
            field = "input_file" if "input_file" in self._fields else "input"
            job_input = self._make_input({**self._fields, **rendered}, values)
            field = "tags"
            tags = tuple(self._texts("tags", values))
            pools = tuple(self._texts("pools", values))
        except TemplateMistake as mistake:
            place = self._places.get(field, (*self._path, field))
            self._mistakes.add((*place, *mistake.path), _with_cell(str(mistake), cell))
            return None
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                name = str(detail["loc"][0])
                self._mistakes.add(self._places[name], _with_cell(plain(detail), cell))
            return None
        return Job(
            seq=seq,
            key=JobKey(key),
            mode=self._mode,
            input=job_input,
            tags=tags,
            pools=pools,
            params={**self._base, **cell},
            collect=self._collect,
            **parts,
        )

    def _key(self, key: Any, cell: Mapping[str, JsonValue], keys: set[str]) -> str:
        text = str(key)
        if not KEY.fullmatch(text):
            raise TemplateMistake(
                f"{text[:80]!r} is no job key: 1 to 200 of A-Za-z0-9._=- are allowed, not starting "
                "with a dot; the filter slug makes text fit"
            )
        folded = text.lower()
        if folded in keys:
            unused = [name for name in cell if name not in compile_names(self._fields["name"])]
            hint = f"; put {', '.join(unused)} into it" if unused else ""
            raise TemplateMistake(f"two jobs have the key {text!r} (case does not count){hint}")
        keys.add(folded)
        return text

    def _make_input(self, fields: Mapping[str, Any], values: Values) -> JobInput:
        if "input_file" in fields:
            path = (self._folder / str(fields["input_file"])).absolute()
            return file_input(path, fields.get("input_content_type") or JSON_TYPE)
        if self._input is not None:
            return self._input.make(values)
        if isinstance(fields.get("input"), str):
            table = jsonable(compile_template(fields["input"]).render(values))
            if not isinstance(table, dict):
                raise TemplateMistake(f"{fields['input']!r} gives no table")
            return InputTemplate(_literal(table)).make({})
        return JobInput()

    def _texts(self, name: str, values: Values) -> Iterator[str]:
        for index, text in enumerate(self._fields.get(name) or ()):
            if is_template(text):
                yield str(compiled_at((index,), text).render(values))
            else:
                yield text

    def _parts_of(self, fields: dict[str, Any]) -> dict[str, Any]:
        """
        The parts of a job that come from plain fields, checked once more where they were rendered.
        """
        checked = {
            name: fields[name]
            for name in (*OPTIONS, *PLAIN, "actor", "task")
            if fields.get(name) is not None
        }
        for name in ("actor", "task", "build", "output_record_key"):
            if name in checked:
                checked[name] = str(checked[name])
        table = JobFields.model_validate(checked)
        target = (
            Target(kind=TargetKind.ACTOR, id=table.actor)
            if table.actor is not None
            else Target(kind=TargetKind.TASK, id=table.task or "")
        )
        webhooks = tuple(
            Webhook(**{**hook.model_dump(), "event_types": tuple(hook.event_types)})
            for hook in fields.get("webhooks") or ()
        )
        options = {name: getattr(table, name) for name in OPTIONS}
        return {
            "target": target,
            "options": RunOptions(**options, webhooks=webhooks),
            **{name: getattr(table, name) for name in PLAIN if name in checked},
        }


def compile_names(text: str) -> frozenset[str]:
    """
    The variables that a string uses.
    """
    return compile_template(text).names if is_template(text) else frozenset()


def _sweep(
    loaded: LoadedSpec,
    index: int,
    table: JobTable,
    values: Values,
    env: Mapping[str, str],
    mistakes: Mistakes,
) -> Sweep | None:
    """
    Compiles a `[[jobs]]` table; None, with its mistakes noted, when it has some.
    """
    path: FieldPath = ("jobs", index)
    fields, places = _merged(loaded, path, table)
    matrix = {name: _values_of(entry) for name, entry in (table.matrix or {}).items()}
    found = [
        *_check_fields(loaded, path, table, fields),
        *_check_matrix(path, matrix),
        *_check_templates(fields, places, {*values, *matrix}, env),
    ]
    for place, message in found:
        mistakes.add(place, message)
    if found:
        return None
    names = frozenset().union(*(compile_names(text) for _, text in strings_in(fields)))
    try:
        return Sweep(
            loaded=loaded,
            path=path,
            fields=fields,
            places=places,
            matrix=matrix,
            values=values,
            names=names,
            mistakes=mistakes,
        )
    except TemplateMistake as mistake:
        mistakes.add((*path, "input", *mistake.path), str(mistake))
        return None


def _merged(
    loaded: LoadedSpec, path: FieldPath, table: JobTable
) -> tuple[dict[str, Any], dict[str, FieldPath]]:
    """
    The fields of a job over the defaults, and where each of them stands.
    """
    fields: dict[str, Any] = {}
    places: dict[str, FieldPath] = {}
    sources: tuple[tuple[FieldPath, JobFields], ...] = (
        (("defaults",), loaded.spec.defaults),
        (path, table),
    )
    rivals = {"actor": "task", "task": "actor", "input": "input_file", "input_file": "input"}
    for source, model in sources:
        given = {
            name: getattr(model, name)
            for name in model.model_fields_set - {"matrix"}
            if getattr(model, name) is not None
        }
        for name, value in given.items():
            rival = rivals.get(name)
            if rival in fields and rival not in given:
                del fields[rival]
            if name == "collect" and name in fields:
                value = _over(fields[name], value)
            fields[name] = value
            places[name] = (*source, name)
    return fields, places


def _over(below: CollectTable, above: CollectTable) -> CollectTable:
    given = {name: getattr(above, name) for name in above.model_fields_set}
    return below.model_copy(update=given)


def _check_fields(
    loaded: LoadedSpec, path: FieldPath, table: JobTable, fields: dict[str, Any]
) -> Iterator[tuple[FieldPath, str]]:
    """
    What fields must have to do with one another.
    """
    for one, other in (("actor", "task"), ("input", "input_file")):
        if one in fields and other in fields:
            yield (*path, other), f"give {one} or {other}, not both"
    if "actor" not in fields and "task" not in fields:
        yield path, "is missing an actor or a task to run"
    if "input_content_type" in fields and "input_file" not in fields:
        yield (*path, "input_content_type"), "goes with input_file only"
    for index, pool in enumerate(fields.get("pools") or ()):
        if not is_template(pool) and pool not in loaded.spec.pools:
            yield (*path, "pools", index), unknown(pool, loaded.spec.pools, "pool")
    yield from _check_fit(path, table, fields)


def _check_fit(
    path: FieldPath, table: JobTable, fields: dict[str, Any]
) -> Iterator[tuple[FieldPath, str]]:
    """
    Fields that the job's endpoint does not have.

    In a job such a field is a mistake; in `[defaults]` it is for the jobs that it fits, and is
    taken out of the others.
    """
    is_sync, is_task = fields.get("mode") == "sync", "task" in fields
    has_no_input = not {"input", "input_file"} & fields.keys()
    misfits = {
        "force_permission_level": (is_sync or is_task, "is for Actors in async mode only"),
        "wait_for_finish_secs": (is_sync, "is for async mode only"),
        "output_record_key": (not is_sync, "is for sync mode only"),
        "restart_on_error": (
            is_sync and is_task and has_no_input,
            "cannot be set for a task in sync mode without an input",
        ),
    }
    for name, (does_not_fit, why) in misfits.items():
        if does_not_fit and name in fields:
            if name in table.model_fields_set:
                yield (*path, name), why
            else:
                del fields[name]


def _check_matrix(
    path: FieldPath, matrix: Mapping[str, Sequence[JsonValue]]
) -> Iterator[tuple[FieldPath, str]]:
    for name, values in matrix.items():
        place = (*path, "matrix", name)
        if not name.isidentifier() or name == "env":
            yield place, "is no name for a parameter: letters, digits and _ are, and not env"
        if not values:
            yield place, "has no values: the range leads away from its end"


def _check_templates(
    fields: Mapping[str, Any],
    places: Mapping[str, FieldPath],
    known: set[str],
    env: Mapping[str, str],
) -> Iterator[tuple[FieldPath, str]]:
    """
    Every template of a job: compiled, its names known, secrets in inputs only.
    """
    for name, value in fields.items():
        for path, text in _templates_in(name, value):
            place = (*places[name], *path)
            try:
                template = compile_template(text)
            except TemplateMistake as mistake:
                yield place, str(mistake)
                continue
            for wrong in sorted(template.names - known - {"env"}):
                yield place, unknown(wrong, known, "name")
            if "env" in template.names and not (name == "input" and path):
                yield place, "env is for the values of an input table only: it is a secret"
            for missing in sorted(template.env_names - env.keys()):
                yield place, f"the environment has no {missing}"


def _templates_in(name: str, value: Any) -> Iterator[tuple[FieldPath, str]]:
    if name == "webhooks":
        for index, hook in enumerate(value):
            if is_template(hook.request_url):
                yield (index, "request_url"), hook.request_url
    elif name != "collect":
        yield from ((path, text) for path, text in strings_in(value) if is_template(text))


def _params(
    loaded: LoadedSpec, given: Mapping[str, str], mistakes: Mistakes
) -> dict[str, JsonValue]:
    """
    `[params]` with the `--param` values over them, each in the type that the spec gives it.
    """
    params: dict[str, JsonValue] = {}
    for name, value in loaded.spec.params.items():
        params[name] = value
        if not name.isidentifier() or name == "env":
            mistakes.add(("params", name), "is no name for a parameter")
    for name, text in given.items():
        if name not in params:
            mistakes.add(
                ("params",), f"--param {name}={text}: {unknown(name, params, 'parameter')}"
            )
            continue
        try:
            params[name] = _typed_like(params[name], text)
        except ValueError:
            expected = type(params[name]).__name__
            mistakes.add(
                ("params", name), f"--param {name}={text}: expected a value of type {expected}"
            )
    return params


def _typed_like(example: JsonValue, text: str) -> JsonValue:
    if isinstance(example, str):
        return text
    value: JsonValue = orjson.loads(text)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(example, float) and is_number:
        return value
    if type(value) is not type(example):
        raise ValueError(text)
    return value


def _values_of(entry: list[JsonValue] | RangeTable) -> Sequence[JsonValue]:
    if isinstance(entry, RangeTable):
        return range_values(*entry.range)
    return entry


def _collect_plan(table: CollectTable | None, mode: Mode) -> CollectPlan:
    given = {} if table is None else table.model_dump(exclude_none=True)
    own = {name: given.pop(name) for name in ("items", "output", "records", "log") if name in given}
    own.setdefault("output", mode is Mode.SYNC)
    frozen: Callable[[Any], Any] = lambda v: tuple(v) if isinstance(v, list) else v  # noqa: E731
    return CollectPlan(
        **{name: frozen(value) for name, value in own.items()},
        query=ItemsQuery(**{name: frozen(value) for name, value in given.items()}),
    )


def _literal(table: dict[str, Any]) -> dict[str, Any]:
    """
    A table of values in which nothing is rendered once more.
    """
    for path, text in list(strings_in(table)):
        if is_template(text):
            raise TemplateMistake(
                f"a value with {{{{ in it cannot be an input: {text[:40]!r} at {path}"
            )
    return table


def _with_cell(message: str, cell: Mapping[str, JsonValue]) -> str:
    if not cell:
        return message
    where = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in cell.items())
    return f"{message} (where {where[:200]})"
