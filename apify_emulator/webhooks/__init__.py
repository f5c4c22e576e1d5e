"""Which webhooks exist, and how they are delivered."""
