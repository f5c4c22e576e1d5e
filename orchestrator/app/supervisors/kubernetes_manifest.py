"""
The manifest for Kubernetes that starts a spec on its schedule. No I/O.

The files of the spec are in a ConfigMap, the batches on a persistent volume, the secrets in a
Secret that the user makes. With shards, the Job is an Indexed Job: one pod for each shard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from orchestrator.app.supervisors.cron_fields import plain_cron
from orchestrator.app.supervisors.installation import (
    MOST_RESTARTS,
    NO_RESTART,
    Installation,
    gap_words,
)
from orchestrator.errors import UsageError

SPEC_FOLDER = "/spec"
BATCHES = "/batches"
USER = 10_001
"""The user of the image; see `Dockerfile`."""

MOST_BYTES = 900_000
"""A ConfigMap has at most 1 MiB."""

SKIPS_GAPS = "starts no batch on these days"
LATEST_START_SECS = 21_600
STORAGE = "10Gi"
HEARTBEAT = "/tmp/heartbeat"  # noqa: S108 - in a container of its own
SILENT_MINUTES = 5
JOB_LABEL = "metadata.labels['batch.kubernetes.io/job-name']"
"""Where a pod learns the name of its Job, whose end is the time of the schedule in minutes."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Writes texts of several lines as blocks, which people can read."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def kubernetes_manifest(installation: Installation, *, image: str, files: Mapping[str, str]) -> str:
    """
    A ConfigMap, a PersistentVolumeClaim and a CronJob.

    Args:
        installation: its spec is a path below `SPEC_FOLDER`.
        files: the spec and the files that it names, by their paths below `SPEC_FOLDER`.

    Raises:
        UsageError: Kubernetes cannot express the schedule, or the files are too large.
    """
    schedule = plain_cron(installation.fields, "Kubernetes", star_steps=False)
    size_bytes = sum(len(text.encode()) for text in files.values())
    if size_bytes > MOST_BYTES:
        raise UsageError(
            f"the files of the spec have {size_bytes:,} bytes, and a ConfigMap can hold "
            f"{MOST_BYTES:,}: copy them into an image of your own"
        )
    name = f"orchestrator-{installation.slug}"
    keys = {path: f"file-{number}" for number, path in enumerate(files)}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-spec"},
        "data": {keys[path]: text for path, text in files.items()},
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce" if installation.shards is None else "ReadWriteMany"],
            "resources": {"requests": {"storage": STORAGE}},
        },
    }
    cron_job = _cron_job(installation, name, schedule, image=image, keys=keys)
    volumes = [] if _is_in_store(installation) else [volume]
    documents = [config_map, *volumes, cron_job]
    comments = "".join(f"# {line}\n" for line in _comments(installation, name))
    return comments + "---\n".join(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
        for document in documents
    )


def _comments(installation: Installation, name: str) -> list[str]:
    lines = [f"orchestrator: the batch {installation.name}"]
    if installation.needs:
        lines += [
            f"Make a file {installation.slug}.env with a line NAME=value, without quotes, for each",
            "of these variables:",
            *(f"    {variable}" for variable in installation.needs),
            "and a Secret from it:",
            f"    kubectl create secret generic {name} --from-env-file={installation.slug}.env",
        ]
    lines += _ALONE if installation.shards is None else _shared(installation)
    words = gap_words(installation, "Kubernetes", SKIPS_GAPS)
    return lines if words is None else [*lines, words]


_ALONE = (
    "The volume must have the locks of a local disk (block storage): no NFS, no object store.",
    "A batch whose ledger is lost cannot be resumed, so the volume must outlive the pods.",
    "concurrencyPolicy Allow: a second pod of an occurrence ends at once, and a pod of the next",
    "one waits. ORCHESTRATOR_HELD_IS_SUCCESS makes its exit code 0, so its Job does not fail.",
    "schedule needs Kubernetes 1.27 or newer, for timeZone and podFailurePolicy.",
)


def _shared(installation: Installation) -> list[str]:
    extras = "postgres,remote" if _is_in_store(installation) else "postgres"
    files = (
        "The results go to the object store; the disk of a pod holds them until then."
        if _is_in_store(installation)
        else "All pods write to the volume, so its storage class must have ReadWriteMany."
    )
    return [
        "The ledger is at the PostgreSQL server; the pods of all nodes must reach it.",
        files,
        f"The image needs extras: docker build --build-arg EXTRAS={extras} .",
        "Two pods of one index, also of two Jobs, are harmless: they share the batch.",
        "The manifest needs Kubernetes 1.29 or newer, for backoffLimitPerIndex.",
    ]


def _is_in_store(installation: Installation) -> bool:
    """Whether shards write their results to an object store, and need no volume."""
    return installation.shards is not None and installation.is_remote


def _cron_job(
    installation: Installation,
    name: str,
    schedule: str,
    *,
    image: str,
    keys: Mapping[str, str],
) -> dict[str, Any]:
    interval = int(installation.interval().total_seconds())
    spec: dict[str, Any] = {"schedule": schedule}
    if installation.zone_name is not None:
        spec["timeZone"] = installation.zone_name
    spec |= {
        "concurrencyPolicy": "Allow",
        "startingDeadlineSeconds": min(interval, LATEST_START_SECS),
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": _job(installation, name, image=image, keys=keys)},
    }
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}


def _job(
    installation: Installation, name: str, *, image: str, keys: Mapping[str, str]
) -> dict[str, Any]:
    pod = _pod(installation, name, image=image, keys=keys)
    shards = installation.shards
    if shards is None:
        return {
            "backoffLimit": MOST_RESTARTS,
            "podFailurePolicy": {"rules": [_no_restart("FailJob")]},
            "template": {"spec": pod},
        }
    # A drained node has not failed: the pod runs elsewhere, and nothing is counted.
    drained = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    return {
        "completionMode": "Indexed",
        "completions": shards,
        "parallelism": shards,
        "backoffLimitPerIndex": MOST_RESTARTS,
        # FailJob would kill the pod that still writes the reports and notifies.
        "podFailurePolicy": {"rules": [_no_restart("FailIndex"), drained]},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {**pod, **_spread(name)}},
    }


def _spread(name: str) -> dict[str, Any]:
    """Asks for pods on different nodes, as far as there are enough."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": name}},
    }
    return {"topologySpreadConstraints": [spread]}


def _no_restart(action: str) -> dict[str, Any]:
    codes = {"containerName": "orchestrator", "operator": "In", "values": list(NO_RESTART)}
    return {"action": action, "onExitCodes": codes}


def _pod(
    installation: Installation, name: str, *, image: str, keys: Mapping[str, str]
) -> dict[str, Any]:
    items = [{"key": key, "path": path} for path, key in keys.items()]
    in_store = _is_in_store(installation)
    batches = {"emptyDir": {}} if in_store else {"persistentVolumeClaim": {"claimName": name}}
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER},
        # A delay, so that not all batches of a cluster start at once.
        "initContainers": [
            {"name": "delay", "image": image, "command": ["sleep", str(installation.delay_secs)]}
        ],
        "containers": [_container(installation, name, image)],
        "volumes": [
            {"name": "batches", **batches},
            {"name": "spec", "configMap": {"name": f"{name}-spec", "items": items}},
        ],
    }


def _container(installation: Installation, name: str, image: str) -> dict[str, Any]:
    call: Sequence[str] = installation.call
    container: dict[str, Any] = {
        "name": "orchestrator",
        "image": image,
        "args": [*call[len(installation.command) :]],
        "workingDir": BATCHES,
        "volumeMounts": [
            {"name": "batches", "mountPath": BATCHES},
            {"name": "spec", "mountPath": SPEC_FOLDER, "readOnly": True},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "livenessProbe": _probe(),
    }
    # A Job whose pod ends with 4 would count as failed, although another pod does its work.
    variables = {
        "ORCHESTRATOR_HELD_IS_SUCCESS": "true",
        "ORCHESTRATOR_HEARTBEAT_FILE": HEARTBEAT,
        **installation.variables,
    }
    if installation.shards is not None:
        variables["ORCHESTRATOR_SHARDS"] = str(installation.shards)
    given = [{"name": key, "value": value} for key, value in variables.items()]
    field = {"fieldRef": {"fieldPath": JOB_LABEL}}
    own = {"name": "ORCHESTRATOR_JOB_NAME", "valueFrom": field}
    container["env"] = given if installation.shards is None else [*given, own]
    if installation.needs:
        container["envFrom"] = [{"secretRef": {"name": name}}]
    return container


def _probe() -> dict[str, Any]:
    """Restarts a container whose event loop does nothing; without the file, it has not begun."""
    old = f'test -z "$(find {HEARTBEAT} -mmin +{SILENT_MINUTES} 2>/dev/null)"'
    return {
        "exec": {"command": ["/bin/sh", "-c", old]},
        "initialDelaySeconds": 60,
        "periodSeconds": 60,
        "timeoutSeconds": 10,
    }
