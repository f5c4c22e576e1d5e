"""The command line: one module per command, which parses, calls the app and prints."""
