"""The web page of all batches: live, read only, for the person at this machine."""
