"""
The examples of a page: its fenced blocks, in order, and what a test does with each.

A block is one of these, by its language:

- `console`: commands after `$`, each followed by what it prints. Both are checked.
- `sh`: commands without their output. They must succeed.
- `python`: a program. It must succeed.
- `toml`, `yaml`, `json`: must be read by a parser; a spec, or a part of one, must be valid.
- `text`, `csv`, `markdown` and others: are not checked, unless a command uses the file.

`title="NAME"` writes the block to a file, which later blocks use, instead of running it. Comments
before a block say more about it:

- `<!-- not run: REASON -->`: is only parsed, because this machine lacks what it needs. With `page`
  in front, that holds for each block of the page.
- `<!-- exit CODE -->`: its last command ends with this code, not with 0.
- `<!-- run: COMMAND -->`: a command that the page does not show.
- `<!-- file: NAME`, its text and `-->`: a file that the page does not show.
- `<!-- actor: {…} -->`, `<!-- task: {…} -->`, `<!-- limits: {…} -->`: what the account has and
  allows, in the words of the emulator.
- `<!-- short: 300=30 600=60 -->`: the suite runs the page with these numbers replaced. With
  `ORCHESTRATOR_SOAK=1`, the page runs as it stands.
- `<!-- long: REASON -->`: the block is run with `ORCHESTRATOR_SOAK=1` only.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NOT_CHECKED = frozenset({"text", "csv", "html", "ini", "javascript", "jsonl"})
LANGUAGES = NOT_CHECKED | {"console", "json", "python", "sh", "toml", "yaml"}
PART = re.compile(
    r"^<!-- (?P<mark>not run|page not run|exit|run|file|actor|task|limits):? (?P<value>.*?)\s*-->$"
    r'|^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$'
    r"|^(?P<unknown> *```.*)$",
    re.MULTILINE | re.DOTALL,
)
PROGRESS = re.compile(r"^([\d,]+ of [\d,]+ done, .*|batch \S+ of [\d,]+ jobs, .*)\n", re.MULTILINE)
"""What a command prints every five seconds, without a terminal."""
SUBSTITUTIONS = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"\d{8}T\d{6}Z-[0-9a-f]{7}", "ID"),
        (r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?([+-]\d\d:\d\d)?", "DATE"),
        (r"\d+:\d\d:\d\d", "TIME"),
        (r"\$\d+\.\d+", "COST"),
        (r"\b\d+(\.\d+)? ?(ms|s|B|kB|MB|GB)\b", "AMOUNT"),
        (r"(requests\W+)[\d,]+", r"\1N"),
        (r"\b(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])[a-zA-Z0-9]{17}\b", "RUN"),
        (r"http://127\.0\.0\.1:\d+", "URL"),
        (r"[─-]{2,}", "─"),
        (r"[ \t]+", " "),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """
    A fenced block, or a comment that does something.

    Attributes:
        kind: its language; the mark of a comment.
        line: where it is, counted from 1.
        why_not: the reason why it is not run.
        exit_code: how its last command ends.
        span: its text within the page.
    """

    kind: str
    text: str
    line: int
    title: str | None = None
    why_not: str | None = None
    exit_code: int = 0
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A command of a block, and the lines that it prints; None if the page does not say."""

    command: str
    printed: str | None = None


def blocks_of(page: str) -> list[Block]:
    """
    The blocks of a page, in order.

    Raises:
        ValueError: a block has a language that nobody checks, or a mark that nothing follows.
    """
    found: list[Block] = []
    why_not, page_why_not, exit_code = None, None, 0
    for part in PART.finditer(page):
        line = page.count("\n", 0, part.start()) + 1
        mark, value, language = part["mark"], part["value"], part["language"]
        if mark == "page not run":
            page_why_not = value
        elif mark == "not run":
            why_not = value
        elif mark == "exit":
            exit_code = int(value)
        elif mark:
            found.append(Block(kind=mark, text=value, line=line))
        elif part["unknown"] or language not in LANGUAGES:
            raise ValueError(
                f"line {line}: no test knows the block {part[0].splitlines()[0]!r}; give it a "
                'language, and a file its name as in ```toml title="NAME"'
            )
        else:
            block = Block(
                kind=language,
                text=part["text"],
                line=line,
                title=part["title"],
                why_not=why_not or page_why_not,
                exit_code=exit_code,
                span=part.span("text"),
            )
            found.append(block)
            why_not, exit_code = None, 0
    if why_not or exit_code:
        raise ValueError("no block follows the last mark")
    return found


def shortened(page: str) -> str:
    """The page with smaller numbers, and without its long blocks."""
    page = re.sub("^<!-- long: ", "<!-- not run: ", page, flags=re.MULTILINE)
    found = re.search(r"^<!-- short: (.*?) -->$", page, re.MULTILINE)
    numbers = dict(pair.split("=") for pair in found[1].split()) if found else {}
    return re.sub(
        r"\d+(?:,\d{3})*(?!\d|\.\d)", lambda number: numbers.get(number[0], number[0]), page
    )


def calls_of(block: Block) -> Iterator[Call]:
    """The commands of a `console` or `sh` block, in order."""
    if block.kind != "console":
        yield from (Call(command=command) for command in _commands(block.text))
        return
    if not block.text.startswith("$ "):
        raise ValueError(f"line {block.line}: a console block begins with a command: $ …")
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        length = 1
        while length < len(lines) and lines[length].startswith("> "):
            length += 1
        command = "".join([lines[0], *(line[2:] for line in lines[1:length])]).rstrip("\n")
        yield Call(command=command, printed="".join(lines[length:]))


def _commands(text: str) -> Iterator[str]:
    """The commands of a script, one a line if none of them spans lines."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if all(is_one_command(line) for line in lines):
        yield from lines
    else:
        yield text


def is_one_command(line: str) -> bool:
    """Whether a line is a whole command."""
    if line.endswith("\\") or line.startswith((" ", "}")) or "<<" in line:
        return False
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return True


def is_printed(expected: str, printed: str) -> bool:
    """
    Whether a command printed what the page shows.

    Ids, times, costs and sizes differ from call to call. In the page, `…` is any text, and alone on
    its line any lines.
    """
    lines = normal(expected).splitlines()
    patterns = (
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in lines
    )
    text = "".join(f"{line}\n" for line in normal(printed).splitlines())
    return re.fullmatch("".join(patterns), text) is not None


def normal(text: str) -> str:
    """A text without what differs from call to call, and without blank lines at its end."""
    text = PROGRESS.sub("", text)
    for pattern, shown in SUBSTITUTIONS:
        text = pattern.sub(shown, text)
    return "\n".join(line.strip() for line in text.rstrip().splitlines())


def programs_of(command: str) -> Iterator[list[str]]:
    """The words of each program that a command calls, for the programs of this project."""
    for part in re.split(r"&&|\|\||[|;\n]", re.sub(r"\\\n", " ", command)):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if redirected := [at for at, word in enumerate(words) if re.match(r"\d?[<>]", word)]:
            words = words[: redirected[0]]
        if words:
            yield words


def pages_of(root: Path) -> list[Path]:
    """The pages whose examples are run: all but the decisions, which are history."""
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    return sorted(page for page in pages if page.parent.name != "adr")
