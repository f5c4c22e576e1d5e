"""Which webhooks there are, and how they are delivered."""
