"""Forgetting documents and people, and the proof that nothing of them is left.

In: the number of a document, a path, or a user's name. Out: the steps as they are done, and a list
of every place that was searched. What this room does not know: what an answer is, and SQL.
"""
