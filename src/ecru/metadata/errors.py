"""What the database can say no to, whichever engine it is."""


class DatabaseFull(Exception):
    """There is no space left for the database; nothing of the refused transaction was kept."""


class DatabaseUnavailable(Exception):
    """The database cannot be reached or used now; whether an unacknowledged write was kept is unknown."""


class SchemaTooNew(Exception):
    """The database was migrated by a newer program than this one."""


class SchemaTooOld(Exception):
    """The database has still to be migrated to this program's schema."""
