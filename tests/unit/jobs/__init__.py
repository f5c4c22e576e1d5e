"""Tests of the sample Actors' code, which they load by path: it is not part of the package."""
