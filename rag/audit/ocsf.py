"""An audit record with the field names of OCSF 1.5, so that a collector knows what it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rag import __version__
from rag.store import Record

Json = dict[str, Any]
OCSF_VERSION = "1.5.0"
INFORMATIONAL, MEDIUM = 1, 3
OTHER = 99


class Activity(NamedTuple):
    """What OCSF calls a kind of record: category, class and activity in it."""

    category_uid: int
    class_uid: int
    activity_id: int
    name: str


_IAM, _APPLICATION = 3, 6
_CLASSES = {
    3001: (_IAM, "Account Change"),
    3002: (_IAM, "Authentication"),
    3005: (_IAM, "User Access Management"),
    3006: (_IAM, "Group Management"),
    6003: (_APPLICATION, "API Activity"),
    6005: (_APPLICATION, "Datastore Activity"),
}
_CATEGORIES = {_IAM: "Identity & Access Management", _APPLICATION: "Application Activity"}
_KINDS = {
    "sign_in": (3002, 1, "Logon"),
    "sign_out": (3002, 2, "Logoff"),
    "principal_added": (3001, 1, "Create"),
    "identity_linked": (3001, OTHER, "Link"),
    "identity_unlinked": (3001, OTHER, "Unlink"),
    "password_set": (3001, 3, "Password Change"),
    "enabled": (3001, 2, "Enable"),
    "disabled": (3001, 5, "Disable"),
    "principal_removed": (3001, 6, "Delete"),
    "link_made": (3002, OTHER, "Login Link"),
    "key_added": (3005, 1, "Assign Privileges"),
    "key_revoked": (3005, 2, "Revoke Privileges"),
    "role_given": (3005, 1, "Assign Privileges"),
    "role_taken": (3005, 2, "Revoke Privileges"),
    "granted": (3005, 1, "Assign Privileges"),
    "revoked": (3005, 2, "Revoke Privileges"),
    "limited": (3005, OTHER, "Limit"),
    "limits_synced": (3005, OTHER, "Limit"),
    "joined": (3006, 3, "Add User"),
    "left": (3006, 4, "Remove User"),
    "groups_synced": (3006, OTHER, "Sync"),
    "collection_added": (6005, OTHER, "Create"),
    "collection_removed": (6005, 7, "Delete"),
    "conversation_added": (6005, OTHER, "Create"),
    "conversation_renamed": (6005, 2, "Update"),
    "feedback_given": (6005, 5, "Write"),
    "conversation_removed": (6005, 7, "Delete"),
    "run_added": (6005, OTHER, "Ingest"),
    "run_cancelled": (6005, OTHER, "Cancel"),
    "model_added": (6005, OTHER, "Create"),
    "model_switched": (6005, 2, "Update"),
    "model_rolled_back": (6005, 2, "Update"),
    "model_removed": (6005, 7, "Delete"),
    "search": (6005, 4, "Query"),
    "question": (6005, 4, "Query"),
    "answer": (6005, 1, "Read"),
    "opened": (6005, 1, "Read"),
    "audit_read": (6005, 1, "Read"),
    "ingested": (6005, 5, "Write"),
    "moved": (6005, 2, "Update"),
    "quarantine_released": (6005, 2, "Update"),
    "quarantine_removed": (6005, 7, "Delete"),
    "removed": (6005, 7, "Delete"),
    "blocked_purged": (6005, 7, "Delete"),
    "forget": (6005, 7, "Delete"),
    "retention": (6005, 7, "Delete"),
}


def activity_of(kind: str) -> Activity:
    """What a kind of record is in OCSF; `Other` where it has no name for it."""
    class_uid, activity_id, name = _KINDS.get(kind, (6003, OTHER, "Other"))
    return Activity(_CLASSES[class_uid][0], class_uid, activity_id, name)


def event(record: Record, names: Mapping[int, str]) -> Json:
    """The record; `names` are those of the principals by number, as far as they are known.

    What OCSF has no field for is in `unmapped`.
    """
    activity, private = activity_of(record.kind), record.private or {}
    failed = record.outcome == "failure"
    return {
        "category_uid": activity.category_uid,
        "category_name": _CATEGORIES[activity.category_uid],
        "class_uid": activity.class_uid,
        "class_name": _CLASSES[activity.class_uid][1],
        "activity_id": activity.activity_id,
        "activity_name": activity.name,
        "type_uid": activity.class_uid * 100 + activity.activity_id,
        "severity_id": MEDIUM if failed else INFORMATIONAL,
        "time": round(record.at.timestamp() * 1000),
        "status_id": 2 if failed else 1,
        "status": "Failure" if failed else "Success",
        "actor": {"user": _user(record, names)},
        "src_endpoint": {"ip": private["address"]} if "address" in private else {},
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "Citadel", "vendor_name": "Citadel", "version": __version__},
            "uid": record.sha256,
            "sequence": record.seq,
            "correlation_uid": record.actor.get("request_id", ""),
            "event_code": record.kind,
        },
        "unmapped": {
            "detail": record.detail,
            "private": {k: v for k, v in private.items() if k not in ("address", "account")},
            "principals": {str(number): names[number] for number in numbers_in(record, names)},
            "previous_sha256": record.previous_sha256,
        },
    }


def numbers_in(record: Record, known: Mapping[int, str] | None = None) -> list[int]:
    """The principals that a record names, of those that are known where that is given."""
    detail = record.detail
    one = (record.actor.get("number"), detail.get("principal"), detail.get("group"))
    named = [*one, *(detail.get("principals") or ())]
    numbers = {number for number in named if isinstance(number, int)}
    return sorted(numbers if known is None else numbers & known.keys())


def _user(record: Record, names: Mapping[int, str]) -> Json:
    """Who acted. One who was forgotten has a number and no name."""
    actor, number = record.actor, record.actor.get("number")
    account = (record.private or {}).get("account", "")
    name = names.get(number, "") if number is not None else account or str(actor["kind"])
    user: Json = {"uid": str(number or actor["kind"]), "name": name.removeprefix("user:")}
    how: Json = {key: actor[key] for key in ("how", "credential") if key in actor}
    return {**user, "type": str(actor["kind"]), **how}
