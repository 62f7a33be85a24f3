"""Where the bytes of blobs lie: one protocol, kept by a folder, an object store and, for tests, memory.

Responsible for bytes at locations: durable when a write returns, never half there, streamed both ways. Which digest lies
where, who may have it and when it goes is rows, and left to ``metadata`` and ``registry``. What identifies a blob and why a
location is chosen at upload is in ``docs/adr/0003-blob-locations-and-identity.md``.
"""
