"""What operators see of a running server: logs, metrics, and the record of each request.

It knows how things are counted and written down, and leaves to others what happened: doors name the route, whoever finds
something worth a line logs it with ``structlog.get_logger(__name__)``. Lines about a request carry its id, which every answer
has too.
"""
