"""Alembic's folder. A package, so that it is part of the wheel."""
