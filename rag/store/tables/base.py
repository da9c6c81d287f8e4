"""What the tables are made of."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    Text,
)
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC, also on SQLite, which forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


# SQLite numbers rows automatically only in a column of type INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")


# Compared by bytes, so that "everything below this folder" is a range of the index.
Uri = Text().with_variant(Text(collation="C"), "postgresql")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def belongs_to(column: str, to: str) -> Column[int]:
    return Column(column, ForeignKey(f"{to}.id", ondelete="CASCADE"), nullable=False, index=True)


def owned_by(column: str, to: str, *, index: bool = False) -> Column[int]:
    key = ForeignKey(f"{to}.id", ondelete="CASCADE")
    return Column(column, Id, key, primary_key=True, autoincrement=False, index=index)
