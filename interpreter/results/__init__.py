"""The database: an index over the record, which can be made anew from runs/ and specs/ at any time."""
