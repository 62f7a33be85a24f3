"""Who are you, and may you: principals, their credentials, registry tokens, and the one point where both doors ask.

It leaves the wire to the doors (which header, which status) and the language of policies to ``ecru.policy``.
Specification: AWS Signature Version 4; Amazon ECR private registry authentication.
"""
