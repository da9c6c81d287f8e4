"""Random worlds of people, groups, grants, limits and files, held against a plain model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from random import Random

import pytest
from index_samples import DIM, MODEL, commit, move, open_quietly, vectors

from rag.search.indexes import Indexes, open_indexes, refresh_snapshots
from rag.store import Store
from rag.types import Access

USERS, GROUPS = ("ann", "bob", "cyd"), ("law", "tax")
WHO = tuple(f"user:{name}" for name in USERS) + tuple(f"group:{name}" for name in GROUPS)
COLLECTIONS = ("docs", "board")
FOLDERS = ("/", "/a", "/a/b", "/c")
FILES = tuple(f"{folder.rstrip('/')}/{n}.txt" for folder in FOLDERS for n in range(2))

PLACES = FOLDERS[1:] + FILES


@dataclass
class Model:
    """The rules in plain words: sets and dictionaries, nothing of the store's."""

    disabled: set[str] = field(default_factory=set)
    members: set[tuple[str, str]] = field(default_factory=set)  # group, user
    grants: set[tuple[str, str]] = field(default_factory=set)  # collection, who
    limits: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)
    there: set[tuple[str, str]] = field(default_factory=set)  # collection, file

    def may_read(self, user: str, collection: str, file: str) -> bool:
        if user in self.disabled:
            return False
        me = {f"user:{user}"} | {f"group:{g}" for g, member in self.members if member == user}
        if not any((collection, each) in self.grants for each in me):
            return False
        rule = self.rule_at(collection, file)
        named = self.limits[rule] if rule else None
        return named is None or bool(named & me)

    def readable(self, user: str) -> set[tuple[str, str]]:
        return {(c, f) for c, f in self.there if self.may_read(user, c, f)}

    def rule_at(self, collection: str, file: str) -> tuple[str, str] | None:
        places = (file, *map(str, PurePosixPath(file).parents))
        return next(((collection, p) for p in places if (collection, p) in self.limits), None)

    def follow(self, collection: str, old: str, new: str) -> None:
        """A limit goes along: the file's own, or a folder's where the new place has none."""
        before = self.rule_at(collection, old)
        if before == (collection, old):
            self.limits[collection, new] = self.limits.pop(before)
        elif before and self.limits[before] is not None and not self.rule_at(collection, new):
            self.limits[collection, new] = self.limits[before]

    def limit(self, collection: str, place: str, named: frozenset[str] | None) -> None:
        for key in list(self.limits):
            if key[0] == collection and (key[1] == place or key[1].startswith(f"{place}/")):
                del self.limits[key]
        self.limits[collection, place] = named


class World:
    """Store and model side by side; every step changes both alike."""

    def __init__(self, store: Store, chance: Random) -> None:
        """A world in which much is granted and something limited already."""
        self.store, self.chance, self.model = store, chance, Model()
        for name in USERS:
            store.permissions.add_principal("user", name)
        for name in GROUPS:
            store.permissions.add_principal("group", name)
        for collection in COLLECTIONS:
            for file in FILES:
                self.put(collection, file)
            for whom in WHO:
                if chance.random() < 0.4:
                    self.grant(collection, whom)
            self.limit(collection, chance.choice(PLACES), self.some())
        for group in GROUPS:
            for user in USERS:
                if chance.random() < 0.5:
                    self.join(group, user)
        self.indexes: Indexes = open_quietly(store)

    def step(self) -> None:
        """Something that people do."""
        chance = self.chance
        collection, user, group = map(chance.choice, (COLLECTIONS, USERS, GROUPS))
        file, other, whom = map(chance.choice, (FILES, FILES, WHO))
        deeds: list[Callable[[], None]] = [
            lambda: self.put(collection, file),
            lambda: self.remove(collection, file),
            lambda: self.rename(collection, file, other),
            lambda: self.grant(collection, whom),
            lambda: self.revoke(collection, whom),
            lambda: self.limit(collection, chance.choice(PLACES), self.some()),
            lambda: self.limit(collection, chance.choice(PLACES), None),
            lambda: self.join(group, user),
            lambda: self.leave(group, user),
            lambda: self.disable(user, chance.random() < 0.3),
            lambda: self.come_anew(user),
            self.publish,
        ]
        chance.choice(deeds)()

    def some(self) -> frozenset[str]:
        """Nobody to three of them."""
        return frozenset(self.chance.sample(WHO, self.chance.randrange(4)))

    def put(self, collection: str, file: str) -> None:
        commit(self.store, file, f"word of {collection} {file}", collection=collection)
        self.model.there.add((collection, file))

    def remove(self, collection: str, file: str) -> None:
        self.store.remove_sources(collection, [file])
        self.model.there.discard((collection, file))

    def rename(self, collection: str, old: str, new: str) -> None:
        if old == new or (collection, old) not in self.model.there:
            return
        move(self.store, old, new, collection)
        self.model.there.discard((collection, old))
        self.model.there.add((collection, new))
        self.model.follow(collection, old, new)

    def grant(self, collection: str, whom: str) -> None:
        self.store.permissions.grant(collection, whom, "read")
        self.model.grants.add((collection, whom))

    def revoke(self, collection: str, whom: str) -> None:
        self.store.permissions.revoke(collection, whom)
        self.model.grants.discard((collection, whom))

    def limit(self, collection: str, place: str, named: frozenset[str] | None) -> None:
        self.store.permissions.limit(collection, place, None if named is None else sorted(named))
        self.model.limit(collection, place, named)

    def join(self, group: str, user: str) -> None:
        self.store.permissions.join_group(group, [user])
        self.model.members.add((group, user))

    def leave(self, group: str, user: str) -> None:
        self.store.permissions.leave_group(group, [user])
        self.model.members.discard((group, user))

    def disable(self, user: str, disabled: bool) -> None:
        self.store.permissions.set_disabled(user, disabled)
        (self.model.disabled.add if disabled else self.model.disabled.discard)(user)

    def come_anew(self, user: str) -> None:
        """Removed and added by the same name: nothing is inherited."""
        self.store.permissions.remove_principal("user", user)
        self.store.permissions.add_principal("user", user)
        model, me = self.model, f"user:{user}"
        model.disabled.discard(user)
        model.members = {(group, member) for group, member in model.members if member != user}
        model.grants = {(collection, whom) for collection, whom in model.grants if whom != me}
        for key, named in model.limits.items():
            model.limits[key] = named and named - {me}

    def publish(self) -> None:
        """The indexes are written, and read again as another process would."""
        self.indexes.close()
        refresh_snapshots(self.store, MODEL, DIM, "auto", lambda _: None)
        self.indexes = open_indexes(self.store, MODEL, DIM, "auto", lambda _: None)

    def check(self) -> None:
        """Everyone finds what may be read and nothing else, whichever way it is looked for."""
        self.indexes.catch_up()
        for user in USERS:
            seen = self.seen(self.store.access_of_user(user))
            assert seen == [self.model.readable(user)] * 4, user
        assert self.seen(self.store.access_to_all()) == [self.model.there] * 4

    def seen(self, access: Access) -> list[set[tuple[str, str]]]:
        """What the list of documents, both indexes and the store's last check let through."""
        listed = self.store.list_documents(access)
        assert self.store.count_documents(access) == len(listed)
        everything = self.indexes.dense.ids()
        dense = self.indexes.dense.search(vectors(["word"])[0], 99, access)
        lexical = self.indexes.lexical.search("word", 99, access)
        held = self.store.chunks(self.store.access_to_all(), everything)
        return [
            {(document.collection, document.source_uri) for document in listed},
            *(
                {(held[i].collection, held[i].source_uri) for i, _ in hits}
                for hits in (dense, lexical)
            ),
            {(c.collection, c.source_uri) for c in self.store.chunks(access, everything).values()},
        ]


@pytest.mark.parametrize("seed", range(8))
def test_in_no_world_does_anyone_find_more_or_less_than_may_be_read(
    store: Store, seed: int
) -> None:
    world = World(store, Random(seed))
    try:
        world.check()
        for _ in range(50):
            world.step()
            world.check()
    finally:
        world.indexes.close()
