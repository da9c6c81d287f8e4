"""A query in, ranked chunks the caller may read out: embed, dense, lexical, fuse, retrieve.

Both indexes are caches that follow the store's change log. Nothing here knows of answers, of HTTP
or of files other than the model and the snapshots.
"""
