"""`orchestrator init`: writes an example spec and config with comments."""

from __future__ import annotations

import argparse
import json

from orchestrator.app.setup.settings import example_config
from orchestrator.errors import OutputNotWritable, UsageError
from orchestrator.specfile import spec_schema

SCHEMA = "orchestrator.schema.json"
SPEC = f"""\
#:schema ./{SCHEMA}
# A batch of Apify runs. Try it offline, on the embedded local platform:
#   orchestrator validate batch.toml
#   orchestrator plan batch.toml
#   orchestrator run batch.toml --local

[batch]
name = "first-batch"            # names the folder under output/
max_runs = 4                    # runs at once; default: the limit of the account
# max_cost_usd = 5.0            # needs max_total_charge_usd below, or earlier runs
# stop_after_failures = "10%"   # or a count

[params]                        # values for templates; --param greeting=Ahoj overrides
greeting = "Hello"

[defaults]                      # for each job that does not set its own
memory_mbytes = 256
timeout_secs = 300
retries = 1

[[jobs]]
name = "greet-{{{{ who | slug }}}}-{{{{ n }}}}"   # unique for each cell of the matrix
actor = "orchestrator/simulated"          # simulated by the local platform; or apify/web-scraper, …
input = {{ greeting = "{{{{ greeting }}}}, {{{{ who }}}}!", duration_secs = 0.5, items = 3 }}
tags = ["example"]
expect = {{ min_items = 1 }}                # a run without items counts as failed

[jobs.matrix]                   # every combination is a job
who = ["Ada", "Grace"]          # or {{ file = "people.csv", column = "name" }}
n = {{ range = [1, 3] }}
"""


def call(options: argparse.Namespace) -> int:
    """Runs the command."""
    files = {
        "batch.toml": SPEC,
        "config.toml": example_config(),
        SCHEMA: json.dumps(spec_schema(), indent=2) + "\n",
    }
    # All are checked before the first one is written: no half set, and nothing is overwritten.
    existing = [name for name in files if (options.folder / name).exists()]
    if existing:
        raise UsageError(
            f"{options.folder}: cannot overwrite {', '.join(existing)}, so nothing was written; "
            "remove them, or choose another folder"
        )
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (options.folder / name).write_text(text, "utf-8")
            print(options.folder / name)
    except OSError as error:
        raise OutputNotWritable(f"{options.folder}: {error.strerror}") from error
    return 0
