"""A run's log as a terminal may show it: without the control sequences of the Actor."""

from __future__ import annotations

import codecs
import re

SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, and movements of the cursor
    r"|(?:\x1b[\]P^_X]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # titles, links
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
OPEN_SEQUENCE = re.compile(r"(?:\x1b[^\n]*|[\x90\x98\x9b\x9d-\x9f][^\n]*|\r)\Z")
# An escape that never ends must not hold back the rest of the log.
LONGEST_SEQUENCE = 4096


class LogText:
    """Turns the bytes of a log into printable text without escape sequences."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, piece: bytes) -> str:
        """Converts the next bytes; holds back an incomplete escape sequence at their end."""
        text = SEQUENCE.sub("", self._rest + self._decoder.decode(piece))
        found = OPEN_SEQUENCE.search(text)
        end = len(text)
        if found is not None and len(text) - found.start() <= LONGEST_SEQUENCE:
            end = found.start()
        self._rest = text[end:]
        return _shown(text[:end])

    def finish(self) -> str:
        """The rest, at the end of the log."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return _shown(rest)


def _shown(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
