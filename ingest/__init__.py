"""The writing side of Citadel: a folder in, committed documents out.

scan → parse (isolated workers) → chunk → embed → a transaction of whole files. Writes through
`rag.store`, embeds through `rag.search.embed`, knows nothing of questions or of HTTP.
"""
