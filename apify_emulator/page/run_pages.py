"""The pages of runs and Actors."""

from __future__ import annotations

import orjson

from apify_emulator.actors.actor import Actor
from apify_emulator.api.context import Context
from apify_emulator.page.markup import (
    Markup,
    block,
    facts,
    heading,
    link,
    pages,
    plain_text,
    shortened,
    status,
    table,
)
from apify_emulator.runs.run import Run
from apify_emulator.runs.run_views import cost_usd
from apify_emulator.runs.simulation import log_text, script_of
from apify_emulator.times import iso, iso_or_none, now

LIVE_LOG = """
const log = document.getElementById("log");
let at = Number(document.getElementById("state").dataset.length);
async function more() {
  const answer = await fetch(location.pathname + "/log?after=" + at);
  if (!answer.ok) return;
  const isLow = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(await answer.text());
  at = Number(answer.headers.get("X-Log-Length"));
  if (isLow) log.scrollTop = log.scrollHeight;
  if (answer.headers.get("X-Run-Ended")) location.reload();
  else setTimeout(more, 1000);
}
log.scrollTop = log.scrollHeight;
setTimeout(more, 1000);
"""
_LONGEST_LOG = 500_000


def run_list(context: Context, runs: list[Run], offset: int, limit: int) -> list[Markup]:
    """Returns the parts of a list of runs, newest first."""
    moment = now()
    end = max(len(runs) - offset, 0)
    shown = runs[max(end - limit, 0) : end][::-1]
    rows = (
        (
            link(run.id, "view", "runs", run.id),
            _actor_link(context, run),
            status(run.status),
            iso(run.started_at),
            f"{run.seconds_run(moment):.1f} s",
            f"${cost_usd(run, moment):.4f}",
            shortened(run.status_message),
        )
        for run in shown
    )
    headers = ("Run", "Actor", "Status", "Started", "Duration", "Cost", "Message")
    return [table(headers, rows, empty="There are no runs yet."), pages(offset, limit, len(runs))]


def run_parts(context: Context, run: Run) -> list[Markup]:
    """Returns the parts of the page of a run."""
    moment = now()
    text = log_of(context, run)
    length = len(text)
    state = f'<p id="state" role="status" data-length="{length}">{status(run.status)}</p>'
    return [
        Markup(state),
        facts(
            (
                ("Message", shortened(run.status_message)),
                ("Actor", _actor_link(context, run)),
                ("Build", run.build_number),
                ("Started", iso(run.started_at)),
                ("Finished", iso_or_none(run.finished_at)),
                ("Duration", f"{run.seconds_run(moment):.1f} s"),
                ("Memory", f"{run.options.memory_mbytes} MB"),
                ("Cost", f"${cost_usd(run, moment):.6f}"),
                ("Exit code", run.exit_code),
                ("Charged events", _json(run.charged) if run.charged else None),
                ("Dataset", link(run.dataset_id, "storage", "datasets", run.dataset_id)),
                (
                    "Key-value store",
                    link(run.store_id, "storage", "key-value-stores", run.store_id),
                ),
                ("Request queue", link(run.queue_id, "storage", "request-queues", run.queue_id)),
            )
        ),
        heading("Log"),
        block(text[-_LONGEST_LOG:].decode(errors="replace"), name="log"),
    ]


def log_of(context: Context, run: Run) -> bytes:
    """Returns the log of a run so far."""
    return log_text(run, script_of(run)) if run.is_virtual else b"".join(context.logs.read(run.id))


def log_after(context: Context, run: Run, after: int) -> tuple[bytes, int]:
    """Returns what was added to a log since it had a length, and its length now."""
    text = log_of(context, run)
    return plain_text(text[after:].decode(errors="replace")).encode(), len(text)


def actor_list(context: Context) -> list[Markup]:
    """Returns the parts of the list of Actors."""
    rows = (
        (
            link(actor.full_name, "actors", actor.id),
            actor.title,
            _kind(actor),
            len(context.runs.of_actor[actor.id]),
        )
        for actor in context.actors.by_id.values()
    )
    return [table(("Actor", "Title", "Kind", "Runs"), rows, empty="There are no Actors.")]


def actor_parts(context: Context, actor: Actor) -> list[Markup]:
    """Returns the parts of the page of an Actor."""
    pricing = context.actors.pricing_infos(actor)
    schema = "It accepts every input." if actor.input_schema is None else _json(actor.input_schema)
    return [
        facts(
            (
                ("Description", actor.description),
                ("Kind", _kind(actor)),
                ("Version", actor.version),
                ("Memory", f"{actor.memory_mbytes} MB"),
                ("Timeout", f"{actor.timeout_secs} s"),
            )
        ),
        heading("Input schema"),
        block(schema),
        *((heading("Pricing"), block(_json(pricing))) if pricing else ()),
        heading("Runs"),
        *run_list(context, context.runs.of_actor[actor.id], 0, 50),
    ]


def _kind(actor: Actor) -> str:
    if actor.is_stand_in:
        return "stand-in"
    return "process" if actor.simulation is None else "simulated"


def _actor_link(context: Context, run: Run) -> object:
    actor = context.actors.by_id.get(run.actor_id)
    return run.actor_id if actor is None else link(actor.full_name, "actors", actor.id)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
