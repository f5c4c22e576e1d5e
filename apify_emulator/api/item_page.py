"""How the items endpoint answers: which items, in which form, in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from apify_emulator.api.context import Context
from apify_emulator.api.storage_schemas import transformation
from apify_emulator.http.answers import Answer
from apify_emulator.http.calls import Call
from apify_emulator.refusals import invalid_parameter
from apify_emulator.storages.dataset import Dataset
from apify_emulator.storages.item_formats import WRITERS, Blocks, FormatOptions, Writer
from apify_emulator.storages.item_transform import ItemTransform
from apify_emulator.storages.xlsx_format import CONTENT_TYPE, as_xlsx, check_installed

# The limit that official clients read when the request has none.
NO_LIMIT = 999_999_999_999
_SMALL_BYTES = 65_536
_TRANSFORM_PARAMETERS = frozenset(
    {
        "clean",
        "fields",
        "outputFields",
        "omit",
        "unwind",
        "flatten",
        "skipEmpty",
        "skipHidden",
        "bom",
        "view",
        "simplified",
        "skipFailedPages",
    }
)


def items_answer(context: Context, call: Call, dataset: Dataset, *, status: int = 200) -> Answer:
    """
    Answers with a dataset's items that are visible in spite of the faults.

    Unchanged JSON Lines go directly from the file to the socket; all other forms pass through
    memory in blocks.
    """
    faults = context.faults.faults
    total = dataset.visible(faults.items_lag_secs)
    shown_total = min(total, dataset.visible(faults.total_lag_secs))
    offset = call.count("offset", 0)
    limit = call.count("limit", NO_LIMIT)
    desc = call.flag("desc")
    name = call.text("format", "json") or "json"
    count = max(min(limit, total - offset), 0)
    headers = {
        "X-Apify-Pagination-Total": str(shown_total),
        "X-Apify-Pagination-Offset": str(offset),
        "X-Apify-Pagination-Limit": str(limit),
        "X-Apify-Pagination-Count": str(count),
        "X-Apify-Pagination-Desc": "true" if desc else "false",
    }
    answer = Answer(status=status, may_compress=True, headers=headers)
    if name not in WRITERS and name != "xlsx":
        known = ", ".join((*WRITERS, "xlsx"))
        raise invalid_parameter("format", f'must be one of {known}, found "{name}"')
    if call.flag("attachment"):
        answer.headers["Content-Disposition"] = f'attachment; filename="dataset.{name}"'
    start = max(total - offset - count, 0) if desc else min(offset, total)
    writer, answer.content_type = _writer(name)
    is_plain = not desc and _TRANSFORM_PARAMETERS.isdisjoint(call.query)
    if name == "jsonl" and is_plain:
        answer.body, answer.length = dataset.raw(start, start + count)
        _join_when_small(answer)
        return answer
    transform = ItemTransform() if is_plain else _transform(context, call, dataset)
    blocks = _blocks(dataset, transform, start, start + count, desc=desc)
    answer.body = writer(blocks, _format_options(call, dataset, transform))
    # A short answer is sent in one piece, which needs fewer system calls.
    if count <= 1000:
        answer.body = b"".join(answer.body)
    return answer


def _writer(name: str) -> tuple[Writer, str]:
    """Returns what writes a format, and its content type."""
    if name != "xlsx":
        return WRITERS[name]
    check_installed()
    return as_xlsx, CONTENT_TYPE


def _join_when_small(answer: Answer) -> None:
    if answer.length is not None and answer.length <= _SMALL_BYTES:
        assert isinstance(answer.body, Iterator)  # noqa: S101 - datasets give plain iterators
        answer.body = b"".join(answer.body)


def _blocks(
    dataset: Dataset, transform: ItemTransform, start: int, stop: int, *, desc: bool
) -> Callable[[], Blocks]:
    def read_blocks() -> Blocks:
        blocks = dataset.blocks(start, stop, desc=desc)
        if transform.is_plain:
            return blocks
        return (list(transform.apply(block)) for block in blocks)

    return read_blocks


def _transform(context: Context, call: Call, dataset: Dataset) -> ItemTransform:
    is_clean = call.flag("clean")
    name = call.text("view")
    view = transformation(context, dataset, name) if name else {}

    def names(parameter: str) -> tuple[str, ...]:
        return tuple(call.names(parameter)) or view.get(parameter, ())

    return ItemTransform(
        fields=names("fields"),
        output_fields=tuple(call.names("outputFields")),
        omit=names("omit"),
        unwind=names("unwind"),
        flatten=names("flatten"),
        skip_empty=call.flag("skipEmpty") or is_clean,
        skip_hidden=call.flag("skipHidden") or is_clean,
        is_simplified=call.flag("simplified"),
        skip_failed_pages=call.flag("skipFailedPages"),
    )


def _format_options(call: Call, dataset: Dataset, transform: ItemTransform) -> FormatOptions:
    delimiter = call.text("delimiter", ",") or ","
    if len(delimiter) != 1 or delimiter in '\n\r"':
        raise invalid_parameter("delimiter", "must be one character")
    renamed = transform.fields and (
        *islice(transform.output_fields, len(transform.fields)),
        *transform.fields[len(transform.output_fields) :],
    )
    return FormatOptions(
        delimiter=delimiter,
        bom=call.flag("bom") if "bom" in call.query else None,
        has_header=not call.flag("skipHeaderRow"),
        fields=tuple(renamed),
        xml_root=call.text("xmlRoot", "items") or "items",
        xml_row=call.text("xmlRow", "item") or "item",
        feed_title=call.text("feedTitle") or f"Dataset {dataset.name or dataset.id}",
        feed_description=call.text("feedDescription")
        or f'Items in dataset with id "{dataset.id}".',
    )
