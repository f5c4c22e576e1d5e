from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.model.batches import NotifyPlan, NotifyWhen
from orchestrator.specfile.notify_urls import name_and_plan_in
from tests.support.specs import MINIMAL, jobs_of, mistakes_of, write_spec


@pytest.mark.parametrize(
    ("lines", "reported"),
    [
        ('on = "failure"', 'expected "problem", "always", "change" or "never", found "failure"'),
        ('urls = ["hidden-one"]', 'must be a URL such as "mailto://…"'),
        ("urls = [5]", "must be text: a URL, or a template"),
        ('urls = ["{{ env.GONE }}"]', "the environment variable GONE is not set"),
        ('urls = ["json://x/{{ country }}"]', "only {{ env.NAME }} can be used here"),
        ('ping_url = "ftp://hidden-one"', "must be an http or https address"),
        ('ping_url = "{{ env.WRONG }}"', "must be an http or https address"),
        ('ping_url = "http://[hidden-one/"', "must be an http or https address"),
        ('ping_url = "https://hidden-one:port/"', "must be an http or https address"),
        ('url = ["json://hidden-one"]', "unknown field 'url'; did you mean 'urls'?"),
    ],
)
def test_mistake_in_notify_is_reported_without_the_url(
    tmp_path: Path, lines: str, reported: str
) -> None:
    """Missing notifications are prevented when the spec is written."""
    found = mistakes_of(tmp_path, f"{MINIMAL}\n[notify]\n{lines}\n", env={"WRONG": "hidden-one"})
    assert len(found) == 1
    assert found[0].startswith("spec.toml:9:")
    assert reported in found[0]
    assert "hidden-one" not in found[0]


def test_urls_may_be_templates_or_a_single_text(tmp_path: Path) -> None:
    """A spec in a repository has no key."""
    text = (
        f'{MINIMAL}\n[notify]\nurls = "{{{{ env.ALERT }}}}"\nping_url = "https://x/{{{{env.K}}}}"\n'
    )
    assert len(jobs_of(tmp_path, text, env={"ALERT": "json://x", "K": "1"})) == 1


def test_notify_of_a_spec_with_mistakes_is_read(tmp_path: Path) -> None:
    """Its valid fields count, so that the mistakes are announced."""
    text = MINIMAL.replace(
        "[[jobs]]", '[notify]\non = "al"\nurls = ["json://x"]\nurl = 1\n[[jobss]]'
    )
    name, plan = name_and_plan_in(write_spec(tmp_path, text))
    assert name == "nightly"
    assert plan == NotifyPlan(on=NotifyWhen.PROBLEM, urls=("json://x",))


def test_notify_of_an_included_file_counts(tmp_path: Path) -> None:
    """One file says for all specs who is notified."""
    (tmp_path / "common.toml").write_text('[notify]\nurls = ["json://x"]\n')
    path = write_spec(tmp_path, f'include = ["common.toml"]\nwrong = 1\n{MINIMAL}')
    assert name_and_plan_in(path)[1] == NotifyPlan(urls=("json://x",))
    path = write_spec(tmp_path, f'include = ["gone.toml"]\n{MINIMAL}[notify]\nurls = "json://y"\n')
    assert name_and_plan_in(path)[1] == NotifyPlan(urls=("json://y",))


def test_spec_that_is_not_toml_notifies_no_one(tmp_path: Path) -> None:
    """Only the environment can say then who is notified."""
    assert name_and_plan_in(write_spec(tmp_path, "[batch")) == (None, None)
    assert name_and_plan_in(tmp_path / "gone.toml") == (None, None)
