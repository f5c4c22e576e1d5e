"""The named points at which a process dies: between any two steps of an attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiohttp.client_proto import ResponseHandler

from orchestrator.apify.run_endpoints import RunEndpoints
from orchestrator.app.batch import final_files, lifecycle
from orchestrator.app.notifications import announcer
from orchestrator.app.outputs import merge
from orchestrator.collector.collect import Collector
from orchestrator.ledger import Ledger
from orchestrator.scheduler.run_search import RunFinder
from orchestrator.store import atomic_files, group_flush
from orchestrator.store.atomic_files import Files
from orchestrator.store.part_file import PartFile


class Story(StrEnum):
    """
    What happens to the batch before the point.

    Attributes:
        PLAIN: nothing.
        LARGE: the items do not fit into memory.
        RETRIED: the first run fails.
        RESURRECTED: the first run fails, and is resurrected.
        FULL: the platform has no room for the first start.
        LOST: the answer to the first start is lost after its effect.
        UNSENT: the first start is lost before it has an effect.
        SYNC: the job is one synchronous request.
        SYNC_LOST: the job is one synchronous request, whose answer is lost.
        ROWS: the items of the first job become jobs.
        ABORT: the command aborts the runs of an interrupted batch.
        MERGED: the results of all jobs are merged.
    """

    PLAIN = "plain"
    LARGE = "large"
    RETRIED = "retried"
    RESURRECTED = "resurrected"
    FULL = "full"
    LOST = "lost"
    UNSENT = "unsent"
    SYNC = "sync"
    SYNC_LOST = "sync-lost"
    ROWS = "rows"
    ABORT = "abort"
    MERGED = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """
    A call at which to die: before its effect, or after it and before its result is used.

    Attributes:
        owner: a class or a module.
        name: of its function.
        nth: which of the calls, counted from 1.
        query: counts only calls with this first argument.
        since: counts only calls after the first one of this transaction of the ledger.
    """

    owner: Any
    name: str
    after: bool
    nth: int = 1
    query: str | None = None
    since: str | None = None
    story: Story = Story.PLAIN


def _before(owner: Any, name: str, **more: Any) -> Point:
    return Point(owner=owner, name=name, after=False, **more)


def _after(owner: Any, name: str, **more: Any) -> Point:
    return Point(owner=owner, name=name, after=True, **more)


def _points_of(story: Story, **points: Point) -> dict[str, Point]:
    return {name.replace("_", "-"): replace(point, story=story) for name, point in points.items()}


POINTS = {
    **_points_of(
        Story.ROWS,
        expanding=_before(Ledger, "expand"),
        expansion_uncommitted=_after(Ledger, "_execute", query="insert_expansion"),
        expanded=_after(Ledger, "expand"),
    ),
    **_points_of(
        Story.PLAIN,
        batch_prepared=_before(lifecycle, "publish"),
        batch_renamed=_before(Path, "symlink_to"),
        batch_link_made=_after(Path, "symlink_to"),
        batch_published=_after(lifecycle, "publish"),
        taking_over=_before(Ledger, "take_over"),
        taken_over=_after(Ledger, "take_over"),
        intending=_before(Ledger, "record_intent"),
        intent_uncommitted=_after(Ledger, "_ask", query="insert_intent"),
        intent_recorded=_after(Ledger, "record_intent"),
        start_sent=_before(ResponseHandler, "read", since="record_intent"),
        answer_read=_before(Ledger, "mark_started"),
        started_uncommitted=_after(Ledger, "_change", query="mark_started"),
        started_recorded=_after(Ledger, "mark_started"),
        poll_sent=_before(ResponseHandler, "read", since="mark_started"),
        run_ended=_before(Ledger, "mark_finished"),
        finished_uncommitted=_after(Ledger, "_change", query="mark_finished"),
        finished_recorded=_after(Ledger, "mark_finished"),
        items_read=_before(Files, "save"),
        part_written=_after(atomic_files, "_write"),
        file_flushed=_after(group_flush, "_flush", since="record_intent"),
        file_renamed=_after(group_flush, "_rename", since="record_intent"),
        folder_flushed=_after(group_flush, "_flush_folder", since="record_intent"),
        collected=_before(Ledger, "mark_over"),
        attempt_over_uncommitted=_after(Ledger, "_change", query="mark_over"),
        job_settled_uncommitted=_after(Ledger, "_write", query="settle_job"),
        settled=_after(Ledger, "mark_over"),
        all_settled=_after(Ledger, "mark_over", nth=2),
        requests_unsaved=_before(Ledger, "add_requests"),
        requests_saved=_after(Ledger, "add_requests"),
        closing=_before(Ledger, "close"),
        closed=_after(Ledger, "close"),
        jobs_table_written=_after(final_files, "write_file"),
        reports_written=_after(final_files, "write_reports"),
    ),
    **_points_of(
        Story.LARGE,
        part_opened=_after(Files, "open_part"),
        part_grown=_after(PartFile, "append"),
        part_whole=_before(PartFile, "publish"),
        part_published=_after(PartFile, "publish"),
    ),
    **_points_of(
        Story.RETRIED,
        failure_unrecorded=_before(Ledger, "mark_over"),
        failure_recorded=_after(Ledger, "mark_over"),
        second_intent_recorded=_after(Ledger, "record_intent", nth=2),
        second_answer_read=_before(Ledger, "mark_started", nth=2),
        second_started_recorded=_after(Ledger, "mark_started", nth=2),
        second_settled=_after(Ledger, "mark_over", nth=2),
    ),
    **_points_of(
        Story.RESURRECTED,
        resurrection_intended=_after(Ledger, "record_intent", nth=2),
        resurrecting=_before(RunEndpoints, "resurrect"),
        resurrected=_after(RunEndpoints, "resurrect"),
        resurrection_answered=_before(Ledger, "mark_started", nth=2),
        resurrection_recorded=_after(Ledger, "mark_started", nth=2),
        resurrected_ended=_before(Ledger, "mark_finished", nth=2),
        resurrected_collected=_before(Ledger, "mark_over", nth=2),
    ),
    **_points_of(
        Story.FULL,
        refused=_before(Ledger, "withdraw_intent"),
        withdrawn=_after(Ledger, "withdraw_intent"),
    ),
    **_points_of(
        Story.LOST,
        answer_lost=_before(Ledger, "mark_unconfirmed"),
        unconfirmed_recorded=_after(Ledger, "mark_unconfirmed"),
        lost_run_found=_before(Ledger, "mark_started"),
        adopted_recorded=_after(Ledger, "mark_started"),
    ),
    **_points_of(
        Story.UNSENT,
        looked_once=_after(RunFinder, "find"),
        giving_up=_before(Ledger, "give_up"),
        given_up=_after(Ledger, "give_up"),
        absence_sure=_before(Ledger, "send_again"),
        resend_recorded=_after(Ledger, "send_again"),
        resend_answered=_before(Ledger, "mark_started"),
    ),
    **_points_of(
        Story.SYNC,
        sync_intent_recorded=_after(Ledger, "record_intent"),
        sync_start_sent=_before(ResponseHandler, "read", since="record_intent"),
        sync_answered=_before(Collector, "save_answer"),
        sync_answer_saved=_after(Collector, "save_answer"),
        sync_run_found=_before(Ledger, "mark_started"),
        sync_started_recorded=_after(Ledger, "mark_started"),
        sync_finished_recorded=_after(Ledger, "mark_finished"),
        sync_collected=_before(Ledger, "mark_over"),
        sync_settled=_after(Ledger, "mark_over"),
    ),
    **_points_of(
        Story.SYNC_LOST,
        sync_answer_lost=_before(Ledger, "mark_unconfirmed"),
        sync_unconfirmed_recorded=_after(Ledger, "mark_unconfirmed"),
        sync_adopted_recorded=_after(Ledger, "mark_started"),
    ),
    **_points_of(
        Story.ABORT,
        aborting=_before(RunEndpoints, "abort"),
        abort_asked=_after(RunEndpoints, "abort"),
        aborted=_before(Ledger, "mark_finished"),
        aborted_recorded=_after(Ledger, "mark_finished"),
        aborted_collected=_before(Ledger, "mark_over"),
        aborted_settled=_after(Ledger, "mark_over"),
    ),
    **_points_of(
        Story.MERGED,
        merging=_after(merge, "write_table"),
        reporting=_before(final_files, "write_reports"),
        announcing=_before(announcer, "set_announced"),
    ),
}
