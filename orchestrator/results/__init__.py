"""The items of many jobs as one table: which values it keeps, and in which files."""
