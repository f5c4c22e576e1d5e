"""The function `claim_jobs` of the server, for a ledger that several simulated processes share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

LIVE_STATES = ("intent", "unconfirmed", "started", "adopted")
LIVE = str(LIVE_STATES)
ANSWER = ("kept_by", "detail", "job_definition", "job_remedy", "next_send", "next_mark")
TAKE_JOB = """
UPDATE jobs SET taken_by = :owner WHERE seq = :seq AND status = 'WAITING' AND attempts = :number - 1
    AND (taken_by IS NULL OR taken_by = :owner)
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = :seq)
RETURNING definition, remedy
"""

USES = """
SELECT COALESCE(SUM(runs), 0), COALESCE(SUM(memory_mbytes), 0), COALESCE(SUM(committed_usd), 0)
FROM usage
"""
USE_OF_POOL = f"""
SELECT COUNT(*) FILTER (WHERE state IN {LIVE}),
    COUNT(*) FILTER (WHERE sent_at > :clock - 61)
FROM attempts WHERE claim_pools LIKE :pool
"""  # noqa: S608 - our own words
FINDING = "SELECT finding FROM findings WHERE subject = :subject"
HUNGRY = "UPDATE usage SET hungry_at = :clock WHERE owner = :owner"
Row = Mapping[str, Any]


class Session(Protocol):
    """What claims need of a session."""

    ledger: Any

    def query(self, name: str, /, **values: Any) -> Any:
        """Executes a named statement."""
        ...


class ClaimedJobs:
    """
    The claims of one transaction.

    Args:
        moment: the time of the server.
    """

    def __init__(self, session: Session, owner: str, moment: float) -> None:
        self._session = session
        self._owner = owner
        self._moment = moment

    def claim(self, wanted: Row) -> Row:
        """Takes a job and writes its intent, or says what keeps it from a start."""
        wanted = {**wanted, **wanted["share"]}
        answer: dict[str, Any] = dict.fromkeys(ANSWER)
        kept = kept_by(self, wanted)
        if kept is not None:
            answer["kept_by"], answer["detail"] = kept[0], str(kept[1])
            if kept[0] in ("runs", "memory"):
                values = {"owner": self._owner, "clock": self._moment}
                self._session.ledger.execute(HUNGRY, values)
            return answer
        given = {**wanted, "owner": self._owner}
        row = self._one(TAKE_JOB, given)
        if row is None:
            return answer
        self._note_probes(wanted)
        return answer | self._intend(given, row)

    def kept_by_finding(self, wanted: Row) -> tuple[str, Any] | None:
        """The target, if no job of it may start now; the limits do not matter for that."""
        target = self._finding(wanted["target"])
        is_paused = bool(target.get("reason")) and (
            target.get("probe") is not None or self._moment < target["probe_at"]
        )
        if target.get("held") or is_paused:
            return "target", json.dumps(target | {"now": self._moment})
        return None

    def kept_by_limits(self, wanted: Row) -> tuple[str, Any] | None:
        """The limit that one more start would exceed."""
        runs, mbytes, usd = self._one(USES, {})
        spent, most_usd = Decimal(str(round(usd, 6))), wanted["max_usd"]
        if runs >= wanted["max_runs"]:
            return "runs", runs
        if wanted["max_mbytes"] is not None and mbytes + wanted["mbytes"] > wanted["max_mbytes"]:
            return "memory", mbytes
        if most_usd and spent + Decimal(wanted["reserved_usd"] or 0) > Decimal(most_usd):
            return "money", spent
        for subject, used in (("runs", runs + 1), ("memory", mbytes + wanted["mbytes"])):
            room = self._finding(subject)
            if room and used > room["fits"] and self._moment < room["probe_at"]:
                return f"room of {subject}", json.dumps(room | {"now": self._moment})
        return self._kept_by_pool(wanted)

    def _kept_by_pool(self, wanted: Row) -> tuple[str, Any] | None:
        for pool in wanted["pools"] or ():
            used = self._one(USE_OF_POOL, {"pool": f'%"{pool}"%', "clock": self._moment})
            mosts = wanted["pool_runs"][pool], wanted["pool_starts"][pool]
            for use, most in zip(used, mosts, strict=True):
                if most is not None and use >= most:
                    return f"pool {pool}", use
        return None

    def _note_probes(self, wanted: Row) -> None:
        """A start beyond what fits is a probe, and so is a job of a paused target."""
        runs, mbytes, _ = self._one(USES, {})
        for subject, used in (("runs", runs + 1), ("memory", mbytes + wanted["mbytes"])):
            room = self._finding(subject)
            if room and used > room["fits"]:
                at = self._moment + room["pause_secs"]
                self._put(subject, room | {"is_probing": True, "probe_at": at})
        target = self._finding(wanted["target"])
        if target.get("reason"):
            self._put(wanted["target"], target | {"probe": wanted["seq"]})

    def _intend(self, given: Row, row: Row) -> dict[str, Any]:
        asked = self._session.query("insert_intent", **{**given, "stem": given["mark"]})
        (intent,) = asked.fetchall()
        pools = json.dumps(given["pools"]) if given["pools"] else None
        uses = {"memory_mbytes": given["mbytes"], "pools": pools}
        self._session.query("set_claim", **{**given, **uses})
        taken = {"job_definition": row["definition"], "job_remedy": row["remedy"]}
        return taken | {"next_send": intent["send"], "next_mark": intent["mark"]}

    def _finding(self, subject: str | None) -> dict[str, Any]:
        row = self._one(
            "SELECT finding FROM findings WHERE subject = :subject", {"subject": subject}
        )
        return dict(json.loads(row[0])) if row else {}

    def _put(self, subject: str, finding: Row) -> None:
        self._session.query("put_finding", subject=subject, finding=json.dumps(finding))

    def _one(self, statement: str, values: Row) -> Any:
        return self._session.ledger.execute(statement, values).fetchone()


def kept_by(claims: ClaimedJobs, wanted: Row) -> tuple[str, Any] | None:
    """What keeps a job from a start, and how much of it is used."""
    halt = claims._one("SELECT halt_kind FROM batch", {})[0]
    if halt is not None:
        return "halt", halt
    return claims.kept_by_finding(wanted) or claims.kept_by_limits(wanted)
