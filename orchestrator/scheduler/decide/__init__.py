"""The decisions of the scheduler as pure functions and plain state: no clock, no I/O."""
