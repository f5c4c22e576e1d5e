"""What the command takes, prints and exits with."""
