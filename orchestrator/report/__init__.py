"""From the ledger's rows to something that a person or a program reads."""
