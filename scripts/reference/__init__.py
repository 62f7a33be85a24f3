"""Writes the pages of ``docs/reference`` from the declarations of the code: ``make reference``.

A module of ``pages`` is a page: its ``render()`` answers the text of ``docs/reference/<module>.md``. Tests fail while a page is not
what its module renders.
"""
