"""How a notification and a ping travel: to Apprise's services, and to a dead-man's switch."""
