"""What the client does when a request fails: refusals, retries, rate limits."""
