"""
Runs the Indexed Job of a manifest as Kubernetes would, with a process for each pod.

It does what the documentation of Jobs promises, and no more: an index may run twice at once, a pod
may be killed at any time, and what follows an exit depends on the rules of the manifest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import yaml

from tests.support.command import Command, Process

SIGNALLED = 128


@dataclass
class IndexedJob:
    """
    A Job that a CronJob makes when it is due.

    Attributes:
        spec: of the Job, from the manifest.
        name: of the Job.
        secrets: the content of the Secret that the manifest names.
        live: the pods that run, each with its index.
        restarts: how many pods of each index have followed one that failed.
        succeeded, failed: indexes.
        codes: the exit codes of all pods in their order.
    """

    command: Command
    spec: Mapping[str, Any]
    name: str
    secrets: Mapping[str, str]
    live: list[tuple[int, Process]] = field(default_factory=list)
    restarts: Counter[int] = field(default_factory=Counter)
    succeeded: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    codes: list[int] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def start(self, index: int) -> None:
        """Starts a pod, also a second one of an index: no one promises that there is only one."""
        pod = self.spec["template"]["spec"]
        (container,) = pod["containers"]
        folder = self.command.folder / "batches"
        folder.mkdir(exist_ok=True)
        variables = {**self._variables(container), "JOB_COMPLETION_INDEX": str(index)}
        one = replace(self.command, folder=folder, variables=variables)
        words = [word.replace("/spec/", f"{self.command.folder}/") for word in container["args"]]
        self.live.append((index, one.start(*words)))

    def run(self, look: Callable[[], None] = lambda: None, secs: float = 120) -> None:
        """Runs the pods of all indexes until each index has succeeded or failed."""
        assert self.spec["completionMode"] == "Indexed"
        for index in range(self.spec["completions"]):
            self.start(index)
        until = time.monotonic() + secs
        while self.live:
            look()
            for pod in [one for one in self.live if one[1].has_ended]:
                self.live.remove(pod)
                self._ended(*pod)
            assert time.monotonic() < until, [pod.errors() for _, pod in self.live]
            time.sleep(0.05)

    def _ended(self, index: int, pod: Process) -> None:
        out, err = pod.communicate()
        # A container that a signal has killed shows it as a shell does.
        code = pod.code if pod.code >= 0 else SIGNALLED - pod.code
        self.codes.append(code)
        self.outputs.append(out + err)
        if index in self.succeeded | self.failed:
            return
        if code == 0:
            self.succeeded.add(index)
            return
        action = self._action(code)
        assert action in ("FailIndex", "Count"), action
        if action == "FailIndex" or self.restarts[index] >= self.spec["backoffLimitPerIndex"]:
            self.failed.add(index)
        elif not any(other == index for other, _ in self.live):
            self.restarts[index] += 1
            self.start(index)

    def _action(self, code: int) -> str:
        """What the first rule that fits says; without one, the failure counts."""
        for rule in self.spec["podFailurePolicy"]["rules"]:
            codes = rule.get("onExitCodes")
            if codes is not None and (code in codes["values"]) == (codes["operator"] == "In"):
                return str(rule["action"])
        return "Count"

    def _variables(self, container: Mapping[str, Any]) -> dict[str, str]:
        labels = {"metadata.labels['batch.kubernetes.io/job-name']": self.name}
        found = dict(self.secrets) if container["envFrom"] else {}
        for one in container["env"]:
            if "value" in one:
                found[one["name"]] = one["value"]
            else:
                found[one["name"]] = labels[one["valueFrom"]["fieldRef"]["fieldPath"]]
        return found


def job_of(
    manifest: str, command: Command, due: datetime, secrets: Mapping[str, str]
) -> IndexedJob:
    """The Job that the CronJob of a manifest makes at an instant."""
    (cron_job,) = (one for one in yaml.safe_load_all(manifest) if one["kind"] == "CronJob")
    # The controller names each Job so: Kubernetes, pkg/controller/cronjob, getJobName.
    name = f"{cron_job['metadata']['name']}-{int(due.timestamp()) // 60}"
    return IndexedJob(
        command=command, spec=cron_job["spec"]["jobTemplate"]["spec"], name=name, secrets=secrets
    )
