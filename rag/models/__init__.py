"""Another embedding model in the place of the one in use, while questions go on being answered.

In comes a sentence-transformers directory; it is copied, its vectors are made from stored text
beside those in use, it is compared with the model in use, and takes its place, or does not. What
is known of models is in the store (`rag.store.models`), the exchange inside of a running server in
`rag.search.current`, and what is embedded in `ingest.level`. This room does not know how a vector
is made or searched.
"""
