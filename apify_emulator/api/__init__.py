"""What each endpoint of the API does, and who may call it."""
