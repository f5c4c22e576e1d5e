"""
Runs uv with the package indexes and certificates in pip's configuration.

uv does not read `pip.conf` or the variables `PIP_…`. This script reads them by `pip config list`,
passes them to uv as variables, and writes them nowhere. A `UV_…` variable that is already set wins.
"""

from __future__ import annotations

import os
import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterable, Mapping
from pathlib import Path

SECTIONS = ("global.", "install.", ":env:.")
"""The parts of pip's configuration that `pip install` reads; a later one wins."""

NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
}
"""For each option of pip, the variable of uv and what separates its values."""

SAME_NAME = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
"""Variables of uv that have an older name."""


def uv_variables(lines: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """
    The variables that give uv pip's configuration.

    Args:
        lines: what `pip config list` prints.
        environment: the variables that are set; they win.
    """
    options: dict[str, str] = {}
    for section in SECTIONS:
        for line in lines:
            name, _, value = line.partition("=")
            if name.startswith(section):
                options[name.removeprefix(section)] = literal_eval(value)
    variables = {
        variable: separator.join(options[name].split())
        for name, (variable, separator) in NAMES.items()
        if options.get(name, "").strip()
    }
    if "UV_INDEX" in variables:
        # pip takes the best version of all indexes; uv alone takes the first index with any.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {
        name: value
        for name, value in variables.items()
        if name not in environment and SAME_NAME.get(name, name) not in environment
    }


def main() -> None:
    """Becomes the uv that lies beside this Python."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    variables = uv_variables(listed.splitlines(), os.environ)
    uv = str(Path(sys.executable).with_name("uv"))
    os.execve(uv, [uv, *sys.argv[1:]], {**os.environ, **variables})  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main()
