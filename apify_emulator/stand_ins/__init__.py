"""How stand-ins for Actors are written: from files, and from real runs."""
