"""What a program makes of an answer that shows it as Markdown and lets all of HTML through."""

import re
from html import unescape

import lxml.html
from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HARMLESS = {"p", "strong", "em", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"}
HARMLESS |= {"div", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "code", "blockquote", "br", "hr"}
ADDRESS = re.compile(r"(?i)https?://|\bwww\.\w|javascript:\S|\bdata:\w+/")


def assert_harmless(text: str, base: str) -> None:
    """See that it has no element that does anything, and no link but to passages at `base`.

    Nor has it any for a program that resolves entities first.
    """
    for shown in {text, unescape(text)}:
        assert_no_element(shown, base)
        # Programs make links of these by themselves.
        assert not ADDRESS.search(shown.replace(f"{base}/", "")), text


def assert_no_element(text: str, base: str) -> None:
    html = lxml.html.fragment_fromstring(MARKDOWN.render(text), create_parent="div")
    passage = re.compile(re.escape(base) + r"/v1/documents/\d+/passage\?start=\d+&end=\d+")
    for element in html.iter():
        if element.tag == "a":
            assert set(element.attrib) == {"href"} and passage.fullmatch(element.get("href")), text
        else:
            assert isinstance(element.tag, str) and element.tag in HARMLESS, text
            assert set(element.attrib) <= {"start"}, text
