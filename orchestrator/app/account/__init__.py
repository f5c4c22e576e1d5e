"""What the account allows and what it costs."""
