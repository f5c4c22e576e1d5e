"""Front doors for tests: an emulator in the background, and a plugin for pytest."""
