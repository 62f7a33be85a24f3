"""The IAM language: names of resources and principals, and, as it grows, documents, conditions and their evaluation.

Pure: nothing here reads a clock, a file or a table. Specification: AWS IAM user guide, "Amazon Resource Names" and
"Policy elements".
"""
