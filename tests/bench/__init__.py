"""Benchmarks: each prints a Markdown section with its figures beside a baseline of the same run.

    python -m tests.bench                 lists them
    python -m tests.bench NAME [--quick]  runs one, on a small slice with --quick
    python -m tests.bench all             runs all, each in a process of its own

What comes in is the evaluation sets (`--eval`, else CITADEL_EVAL, else `shared/eval` beside the
repository); what goes out is text for BENCHMARKS.md. Nothing here fails because something is slow:
a person reads the figures. What is costly and always the same (the converted model, embeddings of
the sets) is kept in the user's cache directory, keyed by content.
"""
