"""How the emulator starts, is reached and stops."""
