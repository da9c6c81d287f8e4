"""HTML pages, mails, and what is plain text."""

import csv
import io
import json
from email import policy
from email.message import EmailMessage
from pathlib import Path

from typeset.markup import Block, Content, escape, is_number, tagged

PAGE = """<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta name="author" content="{author}">
<style>
body {{ font-family: sans-serif; max-width: 52rem; margin: 2rem auto; color: #1d2b36; }}
nav a {{ margin-right: 1rem; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #9fb3b3; padding: .3rem .6rem; text-align: left; }}
</style>
</head>
<body>
<nav><a href="/">Intranet</a><a href="/people">People</a><a href="/it">IT</a><a href="/quality">Quality</a></nav>
<main>
<h1>{title}</h1>
{body}
</main>
<footer><p>{footer}</p></footer>
</body>
</html>
"""


def write_html(content: Content) -> bytes:
    """Set a content file as a page of the intranet."""
    body = "\n".join(_html(block) for block in content.blocks)
    head = content.header
    page = PAGE.format(
        lang=head.get("lang", "en"), title=escape(content.title), author=escape(content.author),
        body=body, footer=escape(head.get("footer", "Norrvane Group intranet")),
    )  # fmt: skip
    return page.encode()


def _html(block: Block) -> str:
    match block.kind:
        case "heading":
            return f"<h{block.level + 1}>{tagged(block.text)}</h{block.level + 1}>"
        case "bullets" | "numbers":
            tag = "ul" if block.kind == "bullets" else "ol"
            return (
                f"<{tag}>\n"
                + "\n".join(f"<li>{tagged(line)}</li>" for line in block.lines)
                + f"\n</{tag}>"
            )
        case "table":
            return _html_table(block)
        case "note":
            return f"<blockquote><p>{tagged(block.text)}</p></blockquote>"
        case _:
            return f"<p>{tagged(block.text)}</p>"


def _html_table(block: Block) -> str:
    head = "".join(f"<th>{tagged(cell)}</th>" for cell in block.rows[0])
    rows = [
        "<tr>" + "".join(f"<td>{tagged(cell)}</td>" for cell in row) + "</tr>"
        for row in block.rows[1:]
    ]
    return (
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody>\n</table>"
    )


def write_table(content: Content) -> bytes:
    """The first table of a content file as CSV, TSV or JSON."""
    rows = next(block.rows for block in content.blocks if block.kind == "table")
    if content.style == "json":
        items = [dict(zip(rows[0], map(_json_value, row), strict=True)) for row in rows[1:]]
        whole = {
            "title": content.title,
            "as_of": content.header["date"],
            "owner": content.author,
            "systems": items,
        }
        return (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()
    out = io.StringIO()
    csv.writer(
        out, delimiter="\t" if content.style == "tsv" else ",", lineterminator="\r\n"
    ).writerows(rows)
    return out.getvalue().encode()


def _json_value(cell: str) -> str | int | bool:
    if cell in ("yes", "no"):
        return cell == "yes"
    return int(cell) if is_number(cell) and cell.isdigit() else cell


def write_text(content: Content) -> bytes:
    """Markdown and plain text go out as they are."""
    return content.body.encode()


def write_mail(content: Content, attachments: dict[Path, bytes]) -> bytes:
    """A mail; `attachments` are the files that its header's `attach` names, by target path."""
    head = content.header
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = head["from"], head["mail-to"], content.title
    if "cc" in head:
        mail["Cc"] = head["cc"]
    mail["Date"] = content.date
    mail["Message-ID"] = f"<{content.name}@norrvane.example>"
    if "in-reply-to" in head:
        mail["In-Reply-To"] = mail["References"] = f"<{head['in-reply-to']}@norrvane.example>"
    mail.set_content(content.body, cte="quoted-printable")
    for path, data in attachments.items():
        kind = {
            ".pdf": "pdf",
            ".docx": "vnd.openxmlformats-officedocument.wordprocessingml.document",
        }
        mail.add_attachment(
            data, maintype="application", subtype=kind[path.suffix], filename=path.name
        )
    if mail.is_multipart():
        mail.set_boundary(f"=_{content.name}")
    return mail.as_bytes()
