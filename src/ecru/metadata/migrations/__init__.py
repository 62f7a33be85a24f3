"""The history of the tables: one Alembic revision for each change of ``tables``, numbered, in one line.

``schema`` runs them; ``python -m ecru.metadata.migrations "what changes"`` drafts the next one.
"""
