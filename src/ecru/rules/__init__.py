"""Decisions about registries and their repositories that need nothing but their arguments.

One module per decision: load what it asks for, call it, save what it answers. Texts and defaults follow Amazon ECR's API
(https://docs.aws.amazon.com/AmazonECR/latest/APIReference/) and user guide; which error a fault becomes is for the doors.
"""
