"""What the styles of a Word document say of a paragraph: heading, list, code, hidden."""

from typing import Any, NamedTuple

from ingest.parse.numbering import W

_CODE_NAMES = ("code", "preformatted", "listing", "macro text")
_MAX_ANCESTORS = 20
_TINY_HALF_POINTS = 2
# White text in a table or a shape stands on the colour of that, which its style may give.
_COLOURED = frozenset(f"{W}{name}" for name in ("tc", "txbxContent"))


class Style(NamedTuple):
    """The properties of a paragraph that matter for its text."""

    heading_level: int = 0
    is_title: bool = False
    is_contents: bool = False
    is_code: bool = False
    is_list: bool = False
    num_id: str = ""  # list that numbers it, if any
    num_level: int = 0


class Styles:
    """The styles of styles.xml, inheritance resolved."""

    def __init__(self, root: Any) -> None:
        self._nodes = {node.get(f"{W}styleId"): node for node in root.iterchildren(f"{W}style")}
        self._resolved: dict[str, Style] = {}
        self._hiding = {name for name in self._nodes if self._hides_by_style(name)}

    def of_paragraph(self, node: Any) -> Style:
        """A paragraph's style with its own numbering and outline level applied."""
        properties = node.find(f"{W}pPr")
        if properties is None:
            return Style()
        style = self._resolve(_value(properties.find(f"{W}pStyle")))
        return _with_own(style, properties)

    def hides(self, run: Any) -> bool:
        """Whether a run is not shown, or nobody would see it: white on white, or a point high."""
        properties = run.find(f"{W}rPr")
        if properties is None:
            return False
        vanish = properties.find(f"{W}vanish")
        if vanish is not None:
            return is_on(vanish)
        if _value(properties.find(f"{W}rStyle")) in self._hiding:
            return True
        size = _value(properties.find(f"{W}sz"))
        if size.isdecimal() and int(size) <= _TINY_HALF_POINTS:
            return True
        white = _value(properties.find(f"{W}color")).upper() == "FFFFFF"
        return white and not _stands_on_colour(run, properties)

    def is_bold(self, node: Any) -> bool:
        """Whether all text of a paragraph is bold."""
        name = _value(node.find(f"{W}pPr/{W}pStyle"))
        marks = (style.find(f"{W}rPr/{W}b") for style in self._ancestry(name))
        by_style = is_on(next((mark for mark in marks if mark is not None), None))
        runs = [run for run in node.iter(f"{W}r") if "".join(run.itertext(f"{W}t")).strip()]
        own = [run.find(f"{W}rPr/{W}b") for run in runs]
        return bool(runs) and all(by_style if mark is None else is_on(mark) for mark in own)

    def _resolve(self, name: str) -> Style:
        if name not in self._resolved:
            style = Style()
            for node in reversed(self._ancestry(name)):
                style = _with_name(style, _value(node.find(f"{W}name")).lower())
                if (properties := node.find(f"{W}pPr")) is not None:
                    style = _with_own(style, properties)
            self._resolved[name] = style
        return self._resolved[name]

    def _ancestry(self, name: str) -> list[Any]:
        """A style, the one it is based on, and so on."""
        found: list[Any] = []
        while name in self._nodes and len(found) < _MAX_ANCESTORS:
            found.append(self._nodes[name])
            name = _value(found[-1].find(f"{W}basedOn"))
        return found

    def _hides_by_style(self, name: str) -> bool:
        marks = (node.find(f"{W}rPr/{W}vanish") for node in self._ancestry(name))
        return is_on(next((mark for mark in marks if mark is not None), None))


def is_on(node: Any | None) -> bool:
    """Whether an on/off property is there and not switched off."""
    return node is not None and (node.get(f"{W}val") or "1") not in {"0", "false", "off"}


def _with_name(style: Style, name: str) -> Style:
    """What Word's built-in style names mean, in every language of Word the same in the file."""
    level = name.removeprefix("heading ")
    if level != name and level[:1].isdecimal():
        style = style._replace(heading_level=min(int(level[0]), 6) or 1)
    return style._replace(
        is_title=style.is_title or name == "title",
        is_contents=style.is_contents or (name.startswith("toc ") and name != "toc heading"),
        is_code=style.is_code or any(word in name for word in _CODE_NAMES),
        is_list=style.is_list or (name.startswith("list ") and "continue" not in name),
    )


def _with_own(style: Style, properties: Any) -> Style:
    outline = _value(properties.find(f"{W}outlineLvl"))
    if outline.isdecimal():
        style = style._replace(heading_level=int(outline) + 1 if int(outline) < 6 else 0)
    numbering = properties.find(f"{W}numPr")
    if numbering is None:
        return style
    num_id = _value(numbering.find(f"{W}numId"))
    level = _value(numbering.find(f"{W}ilvl"))
    if num_id:
        style = style._replace(num_id="" if num_id == "0" else num_id)
    return style._replace(num_level=int(level)) if level.isdecimal() else style


def _stands_on_colour(run: Any, properties: Any) -> bool:
    """Whether there is, or may be, something else than white paper behind a run."""
    if any(properties.find(f"{W}{name}") is not None for name in ("shd", "highlight")):
        return True
    for above in run.iterancestors():
        if above.tag in _COLOURED:
            return True
        if above.tag == f"{W}p" and above.find(f"{W}pPr/{W}shd") is not None:
            return True
        if above.tag == f"{W}document":
            return above.find(f"{W}background") is not None
    return False


def _value(node: Any | None) -> str:
    return "" if node is None else str(node.get(f"{W}val") or "")
