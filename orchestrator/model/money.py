"""Money for people."""

from __future__ import annotations

from decimal import Decimal


def money(cost_usd: Decimal) -> str:
    """Money for people."""
    # Runs often cost less than a cent, so small amounts have four digits.
    return f"${cost_usd:,.2f}" if cost_usd >= 1 or not cost_usd else f"${cost_usd:.4f}"
