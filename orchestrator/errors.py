"""
Every error that this project raises on purpose, and the exit code that each one means.

    OrchestratorError ................ 70  a fault of ours; the log has the traceback
    ├─ UsageError ....................  2  correct the spec, the config or the command
    │  ├─ ConfigError                      a setting
    │  ├─ SpecError                        a spec; carries every mistake at once
    │  ├─ UnknownTarget                    an Actor or task that the platform does not know
    │  ├─ BatchNotFound                    no such batch
    │  │  └─ BatchDeleted                     its server deleted it
    │  ├─ OutputNotWritable                the output folder
    │  ├─ SecondCopy                       another process works on a copy of the batch
    │  ├─ LedgerCorrupt                    the ledger is torn, or not a ledger
    │  └─ LedgerVersionMismatch            the ledger is from a newer version
    ├─ StoppedEarly ..................  3  the batch can be resumed
    │  ├─ BudgetExhausted, PlanExhausted, TooManyFailures, TooManyJobs, DeadlinePassed,
    │  └─ DiskFull, TooManyOpenFiles, OutOfResources, OutputLost, BatchAborted
    ├─ Interrupted ................... 129, 130 or 143  a signal; the batch can be resumed
    │  ├─ LeftForNextOccurrence             the next occurrence of the schedule has come
    │  └─ LeftEarly                         a Python program left its batch before the end
    ├─ JobsFailed ....................  1  jobs did not succeed, for a Python program that asks
    ├─ WaitedTooLong .................  5  an earlier batch of the series was live for too long
    ├─ BatchHeld .....................  4  another process holds the batch
    ├─ LedgerAway ....................  5  the server of the ledger cannot be reached
    └─ PlatformError .................  5  carries method, path, status, error type
       ├─ TransientError                   wait: the same request may be sent again
       │  ├─ RateLimited, ServerFault, ConnectionLost, TruncatedBody, RequestTimeout
       ├─ NoRoom                           make room: the account is full, the start was refused
       ├─ PermanentError                   give up: repeating changes nothing
       │  ├─ NotAuthorized                 the token: concerns every job
       │  ├─ PlanLimitReached              the plan or the money: concerns every job
       │  ├─ ActorRefused                  rent it, approve it, share it: concerns this Actor
       │  ├─ InputRejected                 correct the input or the options
       │  ├─ Conflict                      what it concerns is being changed: a start is repeated
       │  ├─ NotFound ...............  2  no such thing
       │  │  └─ NoEndpoint                 no such address: the settings are wrong
       │  └─ RunFailed                     a synchronous run that did not succeed
       └─ StartUnconfirmed                 find out: the run may have been started

A failed job is an outcome in the ledger, not one of these. The classes of `PlatformError` say what
its caller should do and whom the error concerns; which answer becomes which class is decided in
`apify.policy.refusals` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from signal import SIGINT, SIGTERM, Signals

from orchestrator.safe_text import one_line, plain
from orchestrator.spec_mistake import Mistake

# The known types have fewer than 60 characters; a longer one is not from the API.
LONGEST_TYPE = 100


class OrchestratorError(Exception):
    """
    The root. Raised itself only for a broken invariant: a bug of ours.

    Attributes:
        exit_code: what the process ends with when nobody handles the error.
    """

    # EX_SOFTWARE of sysexits.h: an internal fault.
    exit_code = 70

    def __init__(self, message: str = "") -> None:
        # Redacted where it is made: a message may go to a log, a report and the ledger.
        super().__init__(plain(message))


class UsageError(OrchestratorError):
    """What the user wrote cannot be done; nothing was started."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is missing, unknown or out of range."""


class SpecError(UsageError):
    """
    A spec with mistakes, all of them at once.

    Attributes:
        mistakes: in the order of the file; never empty, at most `MOST`.
        total: how many there are in all.
    """

    # A spec of 10,000 rows can have the same mistake in each row.
    SHOWN = 20
    """How many mistakes of one place are shown."""
    MOST = 100

    def __init__(self, mistakes: Sequence[Mistake], *, total: int | None = None) -> None:
        self.mistakes = tuple(mistakes[: self.MOST])
        self.total = len(mistakes) if total is None else total
        lines, drawn = [], None
        for mistake in self.mistakes:
            place = mistake.file, mistake.line, mistake.column
            lines += [str(mistake), *(mistake.excerpt() if place != drawn else ())]
            drawn = place
        if self.total > len(self.mistakes):
            lines.append(f"… and {self.total - len(self.mistakes)} more mistakes")
        super().__init__("\n".join(lines))


class UnknownTarget(UsageError):
    """The platform knows no Actor or task of that name, or does not show it to this token."""


class BatchNotFound(UsageError):
    """No batch of that name, id or folder."""


class BatchDeleted(BatchNotFound):
    """A folder of a batch that another machine has deleted from the server of its ledger."""


class OutputNotWritable(UsageError):
    """The output folder cannot be made or written."""


class SecondCopy(UsageError):
    """Another process works on a copy of the batch's folder, and starts runs."""


class LedgerCorrupt(UsageError):
    """The file is torn, or is no ledger of ours. It is left as it is."""


class LedgerVersionMismatch(UsageError):
    """The ledger is of another version. It is left as it is."""


class StoppedEarly(OrchestratorError):
    """The batch stopped before its end and can be resumed."""

    exit_code = 3


class BudgetExhausted(StoppedEarly):
    """Starting one more run could pass `max_cost_usd`."""


class PlanExhausted(StoppedEarly):
    """The account has no money, or its plan allows no more."""


class TooManyFailures(StoppedEarly):
    """`stop_after_failures` was reached."""


class TooManyJobs(StoppedEarly):
    """Jobs that are made of items would pass `max_jobs`."""


class DeadlinePassed(StoppedEarly):
    """`deadline_secs` went by."""


class DiskFull(StoppedEarly):
    """The output disk takes no more."""


class TooManyOpenFiles(StoppedEarly):
    """The system lets this process open no more files."""


class OutOfResources(StoppedEarly):
    """The system gives this process no more memory, or no more threads."""


class OutputLost(StoppedEarly):
    """The batch's folder can no longer be written."""


class BatchAborted(StoppedEarly):
    """The batch's live runs were aborted at the user's wish; some jobs still wait."""


class Interrupted(OrchestratorError):
    """A signal asked for the end; the batch can be resumed."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {Signals(signal_number).name}")
        # The number that a shell reports for a process that this signal has ended.
        self.exit_code = 128 + signal_number


class LeftForNextOccurrence(Interrupted):
    """The next occurrence of the schedule has come while an earlier batch was resumed."""

    def __init__(self) -> None:
        # It exits with 143 as after a SIGTERM, so callers see a batch that can be resumed.
        super().__init__(SIGTERM)
        self.args = (
            "the next occurrence of the schedule has come; its runs continue on the platform",
        )


class LeftEarly(Interrupted):
    """A Python program left its batch before the end."""

    def __init__(self) -> None:
        # It counts as Ctrl-C: a person, or a program, wanted this end.
        super().__init__(SIGINT)
        self.args = ("the Python program left the batch before its end",)


class JobsFailed(OrchestratorError):
    """Jobs of a batch did not succeed; raised only where a Python program asks for it."""

    exit_code = 1


class WaitedTooLong(OrchestratorError):
    """An earlier batch of the series was live for longer than `lock_wait_secs`."""

    exit_code = 5


class BatchHeld(OrchestratorError):
    """Another process holds the batch."""

    exit_code = 4


class LedgerAway(OrchestratorError):
    """The server that keeps the ledger cannot be reached; the batch can be resumed."""

    exit_code = 5
    was_awaited = False  # whether it has been waited for as long as the settings say


TOO_LARGE = frozenset({413, 414, 431})
"""The HTTP statuses of a request whose body, address or headers are too large."""


class PlatformError(OrchestratorError):
    """
    The platform cannot be reached, or refuses.

    Attributes:
        method: the request's method, such as `POST`.
        path: the request's path, without query and without secrets.
        status: the HTTP status; None when no answer came.
        error_type: Apify's `error.type`; None when the answer had none.
        had_no_effect: whether it proves that the request did nothing.
        concerns_every_job: whether no other request of the batch will do better.
        costs_its_job: whether it is the end of the job for which something was read.
    """

    exit_code = 5
    had_no_effect = False
    concerns_every_job = False
    costs_its_job = True

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        path: str = "",
        status: int | None = None,
        error_type: str | None = None,
    ) -> None:
        super().__init__(message)
        # Without the facts that `__str__` adds: lost answers are compared by their messages.
        self.message = str(self.args[0])
        self.method = method
        self.path = path
        self.status = status
        self.error_type = error_type and one_line(error_type, LONGEST_TYPE)

    def __str__(self) -> str:
        facts = [f"{self.method} {self.path}".strip()]
        if self.status is not None:
            facts.append(f"HTTP {self.status}")
        if self.error_type:
            facts.append(self.error_type)
        shown = ", ".join(fact for fact in facts if fact)
        return f"{self.message} ({shown})" if shown else self.message


class TransientError(PlatformError):
    """
    Wait: the request had no effect that matters, or may be repeated safely.

    Attributes:
        retry_after_secs: how long the platform asked to wait; None when it did not say.
    """

    retry_after_secs: float | None = None
    # The platform may answer later, so this does not end a job.
    costs_its_job = False


class RateLimited(TransientError):
    """HTTP 429, or a request that the limits of rates held back."""


class ServerFault(TransientError):
    """HTTP 5xx, or an answer that is not the API's (a gateway's page)."""


class ConnectionLost(TransientError):
    """
    No connection, or one that broke before the answer was whole.

    It had no effect where nothing of the request can have reached the platform.
    """


class TruncatedBody(TransientError):
    """The answer ended before its announced end, or cannot be decoded."""

    costs_its_job = True


class RequestTimeout(TransientError):
    """A deadline of the request passed (not the run's timeout, nor the wait's), or HTTP 408."""


class NoRoom(PlatformError):
    """The start was refused because the account is full: memory or concurrent runs."""

    @property
    def is_memory(self) -> bool:
        """Whether it is memory that is short, and not runs."""
        return self.error_type == "actor-memory-limit-exceeded"


class PermanentError(PlatformError):
    """Repeating the request changes nothing."""


class NotAuthorized(PermanentError):
    """The token is missing or not valid, or its user is disabled."""

    concerns_every_job = True
    costs_its_job = False


class ActorRefused(PermanentError):
    """The account or token may not use this Actor: it is not rented, approved or shared."""


class InputRejected(PermanentError):
    """The platform refuses the input or an option of the start."""


class Conflict(PermanentError):
    """What the request concerns is locked or being changed, for longer than a start may take."""


class NotFound(PermanentError):
    """The thing named in the path is not there, or not shown to this token."""

    exit_code = 2


class NoEndpoint(NotFound):
    """The API has nothing at this address, whatever it names: the settings are wrong."""


class PlanLimitReached(PermanentError):
    """No money, or the plan does not allow it: no start will succeed."""

    concerns_every_job = True
    costs_its_job = False


class RunFailed(PermanentError):
    """A synchronous start whose run did not succeed; the message names the run."""


class StartUnconfirmed(PlatformError):
    """The answer to a start was lost; only the platform can show whether a run began."""

    @property
    def is_for_its_size(self) -> bool:
        """Whether a gateway takes no request of this size, so that the same one is in vain."""
        return self.status in TOO_LARGE
