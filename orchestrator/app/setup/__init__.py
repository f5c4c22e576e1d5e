"""What each command needs before its work: settings, secrets, signals, the log."""
