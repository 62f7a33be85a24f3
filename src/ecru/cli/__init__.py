"""The command line: what an operator types, and what they read.

Responsible for flags, help and messages. Settings decide what is valid, ``serving`` and ``prepare`` do the work; they are imported
by the command that needs them, since they bring half the program in.
"""
