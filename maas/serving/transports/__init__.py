"""Transports: they carry any protocol's operations between sockets and models. HTTP/1.1 is here."""
