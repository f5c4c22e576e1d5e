"""How the emulator starts, how it is reached, and how it stops."""
