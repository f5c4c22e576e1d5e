"""Which engine places the processes that share a batch, and what do its workers do?"""
