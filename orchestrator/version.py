"""The version of the distribution: the wheel, the command and the user agent have it from here."""

__version__ = "0.1.0"
