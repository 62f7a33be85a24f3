"""Truth is rows: the database, its tables, and the queries that read and change them.

Responsible for where a query runs and what its transaction promises (``database``), the tables and their migrations, and one
module of plain functions per noun. Leaves to others what a change means (the rules are pure) and who may ask for it
(``access``). A row that points to bytes is written after the bytes are durable; this package never touches them.
"""
