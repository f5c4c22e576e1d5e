"""The ledger in PostgreSQL; psycopg is imported when the first connection is opened."""
