"""`{{ expressions }}` in the strings of a spec."""
