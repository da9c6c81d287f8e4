"""A question in, answer events out: retrieve, abstain or choose, cite, check.

`pipeline.answer` is an async generator and the one implementation; whoever wants the whole answer
consumes it. The model's engine and the guard join here; until then sentences are quotes.
"""
