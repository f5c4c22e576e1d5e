"""The limits of the account, and what runs cost."""
