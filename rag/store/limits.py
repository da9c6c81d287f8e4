"""Limits within collections: what commands, access files and permissions say of files and folders.

Both must let a reader through: the nearest command and the nearest access file, each by itself. So
no file undoes what a command says, and a command's limit is still there when a file goes. What a
command says is one rule (`command`), what a file says another (`file`), and where they do not say
the same, or permissions of the file system count besides, a third one at the same place says what
comes of it (`met`). Whoever reads needs the nearest place only, and there the last of the three.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from rag.store import audit, changes, lists, mapped, people, sources, tables
from rag.store.documents import IN_LIMIT
from rag.store.mapped import Readers, Said
from rag.store.sources import StoredSource

FEW = 100  # places whose sources are looked up one by one rather than all together
RECORDED = 200  # places that one audit record names
_rules, _sources, _collections = tables.access_rules, tables.sources, tables.collections
_IS_MARK = _rules.c.uri.endswith(mapped.mark(""))


@dataclass(frozen=True, slots=True)
class Limit:
    """A file, or a folder with all below it, that not everyone may read who may its collection."""

    collection: str
    uri: str
    principals: tuple[str, ...] | None  # who may, and the operator; None: everyone, again
    origin: Literal["command", "file", "permissions"] = "command"  # who says so


@dataclass(slots=True)
class _Rules:
    """All rules of a collection, as lists of names."""

    commands: dict[str, Readers]
    files: dict[str, Readers]
    met: dict[str, Readers]

    @property
    def marks(self) -> set[str]:
        """Those that say where permissions count."""
        return {uri for uri in self.met if mapped.marked(uri) is not None}

    def is_mapped(self, uri: str) -> bool:
        """Whether permissions count there."""
        return not self.marks.isdisjoint(mapped.marks_over(uri))


class _Numbered(NamedTuple):
    """Rules as numbers of lists, by the place that they are about."""

    gone: list[str]
    new: dict[str, int | None]


def limit(
    connection: Connection, collection: str, uri: str, principals: Sequence[str] | None
) -> int:
    """Let only these principals read the file at `uri`, or all that is or will be below it.

    None lets everyone who may read the collection. What commands said of places below `uri` before
    is no longer true. What access files say holds besides, and so do the permissions of a file
    system: with those, what is below loses readers at once, and gains some with the next sync.
    Returns the number of sources that others may read now than before.

    Raises:
        NotFound: there is no such collection or principal.
        BadRequest: a principal is written wrongly.
    """
    collection_id, uri = sources.existing_collection(connection, collection), uri.rstrip("/") or "/"
    list_id = None
    if principals is not None:
        list_id = lists.number(connection, people.numbers(connection, principals))
    before = _mapped_sources(connection, collection_id, uri)
    here = (_rules.c.collection_id == collection_id, sources.at_or_below(_rules.c.uri, uri))
    lifted = or_(_rules.c.origin == "command", and_(_rules.c.origin == "met", ~_IS_MARK))
    connection.execute(delete(_rules).where(*here, lifted))
    if list_id is not None or sources.list_at(connection, collection_id, uri) is not None:
        _put(connection, collection_id, {uri: list_id}, "command")
    _meet_below(connection, collection_id, uri, before)
    n_changed = _settle(connection, collection_id, [uri])
    detail = {"collection": collection, "principals": lists.principals_in(connection, list_id)}
    audit.append(connection, "limited", detail | {"files": n_changed}, private={"uri": uri})
    return n_changed


def _mapped_sources(
    connection: Connection, collection_id: int, uri: str
) -> dict[str, tuple[str, ...] | None]:
    """The sources below `uri` whose permissions count, with their readers now."""
    found = _rules_of(connection, collection_id)
    if not any(_is_over(mapped.marked(mark) or "", uri) for mark in found.marks):
        return {}
    names = lists.named(connection)
    return {
        source: _readers(names, list_id)
        for _, source, list_id in _sources_at(connection, collection_id, [uri])
        if source != uri and found.is_mapped(source)
    }


def _is_over(one: str, other: str) -> bool:
    """Whether one of the two places is at or below the other."""
    return one in mapped.places(other) or other in mapped.places(one)


def _meet_below(
    connection: Connection, collection_id: int, uri: str, before: Mapping[str, Readers]
) -> None:
    """Put what comes of commands, files, and of those whom permissions have kept out so far."""
    found, members = _rules_of(connection, collection_id), lists.by_group(connection)
    both = mapped.both(found.commands, found.files, members)
    wanted = {place: both[place] for place in both if uri in mapped.places(place)}
    stated = {**found.commands, **found.files, **found.met, **wanted}
    for source, readers in before.items():
        now = mapped.nearest(stated, source)
        if (kept := mapped.meet(readers, now, members)) != now:
            wanted[source] = kept
    _put(connection, collection_id, lists.numbered(connection, wanted), "met")


def sync(connection: Connection, collection: str, said: Said, *, prune: bool) -> int:
    """Bring the limits that folders' own files and permissions set level with what those say now.

    Without `prune`, those of places that are gone, and of folders whose file is, stay. Returns the
    number of sources whose list changed.

    Raises:
        NotFound: a principal that a file names does not exist.
        BadRequest: it is written wrongly.
    """
    collection_id = sources.ensure_collection(connection, collection)
    if not said.roots:
        return 0
    for readers in said.by_file.values():
        people.numbers(connection, readers or ())
    found = _rules_of(connection, collection_id)
    files = {uri: who for uri, who in found.files.items() if _stays(uri, said, prune)}
    files |= dict.fromkeys(filter(said.is_closed, files), ())
    files |= said.by_file
    kept = {uri: readers for uri, readers in found.met.items() if _is_kept(uri, said, found)}
    members = lists.by_group(connection)
    met = mapped.rules(said, found.commands, files, kept, members)
    stated = found.commands.keys() | files.keys()
    lapsed = {uri for uri in found.met if _lapses(uri, said, prune) or uri in stated}
    met = {uri: found.met[uri] for uri in found.met.keys() - lapsed} | met
    changed = {
        "file": _changed(connection, found.files, files),
        "met": _changed(connection, found.met, met),
    }
    for origin, (gone, new) in changed.items():
        _replace(connection, collection_id, origin, [*gone, *new], new)
    gone = sorted({uri for each in changed.values() for uri in each.gone})
    new = changed["file"].new | changed["met"].new
    n_changed = _settle(connection, collection_id, [*{*gone, *new}])
    if gone or new:
        detail = {"collection": collection, "set": len(new), "lifted": len(gone)}
        shown = {uri: lists.principals_in(connection, at) for uri, at in new.items()}
        aside = {"set": dict(islice(shown.items(), RECORDED)), "lifted": gone[:RECORDED]}
        audit.append(connection, "limits_synced", detail | {"files": n_changed}, private=aside)
    return n_changed


def _stays(uri: str, said: Said, prune: bool) -> bool:
    """Whether what a file has said holds on though the file was not found now."""
    return not prune or not said.covers(uri) or said.holds_on(uri) or said.is_closed(uri)


def _is_kept(uri: str, said: Said, found: _Rules) -> bool:
    """Whether nobody looked now what permissions say there."""
    if mapped.marked(uri) is not None:
        return False
    return said.holds_on(uri) or (not said.covers(uri) and found.is_mapped(uri))


def _lapses(uri: str, said: Said, prune: bool) -> bool:
    """Whether a rule goes that is not made again."""
    if mapped.marked(uri) is None:
        return prune or uri in said.by_system
    return prune and said.covers(uri) and not said.holds_on(uri)


def _changed(
    connection: Connection, before: Mapping[str, Readers], after: Mapping[str, Readers]
) -> _Numbered:
    old, new = lists.numbered(connection, before), lists.numbered(connection, after)
    gone = sorted(old.keys() - new.keys())
    return _Numbered(gone, {uri: at for uri, at in new.items() if old.get(uri, 0) != at})


def _rules_of(connection: Connection, collection_id: int) -> _Rules:
    names = lists.named(connection)
    by_origin: dict[str, dict[str, Readers]] = {"command": {}, "file": {}, "met": {}}
    query = select(_rules.c.uri, _rules.c.list_id, _rules.c.origin)
    for uri, list_id, origin in connection.execute(
        query.where(_rules.c.collection_id == collection_id)
    ):
        by_origin[origin][uri] = _readers(names, list_id)
    return _Rules(by_origin["command"], by_origin["file"], by_origin["met"])


def mapped_roots(connection: Connection, collection: str) -> list[str]:
    """The roots in which a file system's permissions limit who may read."""
    query = select(_rules.c.uri).join(_collections).where(_collections.c.name == collection)
    marks = query.where(_IS_MARK)
    return sorted(root for uri in connection.scalars(marks) if (root := mapped.marked(uri)))


def _put(
    connection: Connection, collection_id: int, rules: Mapping[str, int | None], origin: str
) -> None:
    rows = [
        {"collection_id": collection_id, "uri": uri, "list_id": list_id, "origin": origin}
        for uri, list_id in rules.items()
    ]
    if rows:
        connection.execute(insert(_rules), rows)


def _replace(
    connection: Connection,
    collection_id: int,
    origin: str,
    old: Sequence[str],
    new: Mapping[str, int | None],
) -> None:
    """Rules of one origin in the place of others."""
    ours = (_rules.c.collection_id == collection_id, _rules.c.origin == origin)
    for start in range(0, len(old), IN_LIMIT):
        batch = old[start : start + IN_LIMIT]
        connection.execute(delete(_rules).where(*ours, _rules.c.uri.in_(batch)))
    _put(connection, collection_id, new, origin)


def _settle(connection: Connection, collection_id: int, places: Sequence[str]) -> int:
    """Give every source at or below the places the list of its nearest rule, and tell the log."""
    if not places:
        return 0
    query = select(_rules.c.uri, _rules.c.list_id).where(_rules.c.collection_id == collection_id)
    ordered = connection.execute(query.order_by(_rules.c.origin))  # command, file, met
    rules: dict[str, int | None] = {row.uri: row.list_id for row in ordered}
    after: dict[int, int | None] = {}  # list by source
    for number, uri, before in _sources_at(connection, collection_id, places):
        nearest = mapped.nearest(rules, uri)
        if nearest != before:
            after[number] = nearest
    for list_id in set(after.values()):
        numbers = [number for number, its_list in after.items() if its_list == list_id]
        for start in range(0, len(numbers), IN_LIMIT):
            batch = numbers[start : start + IN_LIMIT]
            listed = update(_sources).where(_sources.c.id.in_(batch))
            connection.execute(listed.values(list_id=list_id))
            changes.append(connection, changes.put_again(connection, batch))
    return len(after)


def _sources_at(
    connection: Connection, collection_id: int, uris: Sequence[str]
) -> Iterator[tuple[int, str, int | None]]:
    """Number, URI and list of the sources at and below."""
    query = select(_sources.c.id, _sources.c.uri, _sources.c.list_id)
    ours = query.where(_sources.c.collection_id == collection_id)
    if len(uris) <= FEW:
        for uri in uris:
            for row in connection.execute(ours.where(sources.at_or_below(_sources.c.uri, uri))):
                yield row.id, row.uri, row.list_id
        return
    wanted = set(uris)
    for row in connection.execute(ours):
        if not wanted.isdisjoint(mapped.places(row.uri)):
            yield row.id, row.uri, row.list_id


def limits(connection: Connection) -> list[Limit]:
    """What is limited, by collection and URI, and by whom.

    Of what comes of several of them only what permissions have a part in is told.
    """
    found: list[Limit] = []
    for number, collection in connection.execute(select(_collections.c.id, _collections.c.name)):
        rules = _rules_of(connection, number)
        found += [Limit(collection, uri, who, "command") for uri, who in rules.commands.items()]
        found += [Limit(collection, uri, who, "file") for uri, who in rules.files.items()]
        found += [
            Limit(collection, uri, who, "permissions")
            for uri, who in rules.met.items()
            if mapped.marked(uri) is None and rules.is_mapped(uri)
        ]
    return sorted(found, key=lambda each: (each.collection, each.uri, each.origin))


def carry(connection: Connection, existing: StoredSource, new_uri: str) -> None:
    """Let a limit follow a file that moves: its own always, a folder's where none is given there.

    Otherwise a folder under another name would be open to everyone who may read the collection.
    """
    collection_id, old_uri = existing.collection_id, existing.file.uri
    found, members = _rules_of(connection, collection_id), lists.by_group(connection)
    if old_uri in found.met and old_uri not in found.commands and found.is_mapped(new_uri):
        return  # both were set by permissions, and those of the new place are in force already
    whole = {**found.commands, **found.files, **found.met}
    readers = mapped.nearest(whole, old_uri)
    if old_uri not in whole and (readers is None or _is_covered(whole, new_uri)):
        return
    readers = found.commands.get(old_uri, readers)
    commands = {**found.commands, new_uri: readers}
    met = mapped.both(commands, found.files, members).get(new_uri, readers)
    here = _rules.c.collection_id == collection_id
    connection.execute(delete(_rules).where(here, _rules.c.uri.in_([old_uri, new_uri])))
    numbers = lists.numbered(connection, {"command": readers, "met": met})
    _put(connection, collection_id, {new_uri: numbers["command"]}, "command")
    if met != readers:
        _put(connection, collection_id, {new_uri: numbers["met"]}, "met")


def _is_covered(rules: Mapping[str, Readers], uri: str) -> bool:
    return any(place in rules for place in mapped.places(uri))


def _readers(names: Mapping[int, tuple[str, ...]], list_id: int | None) -> Readers:
    return None if list_id is None else names.get(list_id, ())
