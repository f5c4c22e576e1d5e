"""Requests and answers on the wire, without any meaning of the API."""
