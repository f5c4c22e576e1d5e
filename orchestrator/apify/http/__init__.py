"""HTTP as the client needs it: connections, bodies, encodings, deadlines."""
