"""`run --resume`: which batch serves an occurrence, and what else a call must do."""
