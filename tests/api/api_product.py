"""The product's own source, for what can be seen without running it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("rag", "ingest", "ui", "deploy")
PRODUCT = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def imported(tree: ast.AST) -> set[str]:
    """The modules and names that a module imports, whether at its top or within."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found
