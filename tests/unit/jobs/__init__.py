"""Tests of the sample Actors' code, loaded by path: it is no part of the package."""
