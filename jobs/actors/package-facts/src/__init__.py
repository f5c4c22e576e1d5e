"""Package facts: an Actor that audits one installed Python distribution."""
