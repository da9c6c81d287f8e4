"""The query side of Citadel: a question in, a cited answer out.

Imports go one way: `api → answer → search → store`. Nothing in here parses a file; that is
`ingest`, which writes through `rag.store` and embeds through `rag.search.embed`.
"""

__version__ = "0.1.0"
