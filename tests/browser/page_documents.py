"""The documents that the browser's tests ask about; every one is written here."""

from email.message import EmailMessage
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

LODGING = "Guests of the observatory may claim a lodging allowance of 187 crowns for each night."
LODGING_PAGE = 2
LODGING_TOP = 0.30  # of the page's height
VISITOR_LOGS = "Visitor logs are destroyed after eleven weeks."
ATTACK = "<script>window.attacked = 1; alert('attacked')</script>"
HOSTILE = (
    f"The cafeteria of the observatory closes at half past nine {ATTACK}"
    ' <img src="http://192.0.2.1/spy.png" onerror="window.attacked = 1">'
    " ![spy](http://192.0.2.1/spy.png) [menu](javascript:alert('attacked')) in the evening."
)


def write(folder: Path) -> None:
    """Put all documents into `folder`."""
    folder.mkdir()
    _lodging(folder / "lodging.pdf")
    (folder / "retention.md").write_text(_RETENTION, encoding="utf-8")
    (folder / "instruments.csv").write_text(_INSTRUMENTS, encoding="utf-8")
    (folder / "cafeteria <b>.txt").write_text(f"Cafeteria <b>\n\n{HOSTILE}\n", encoding="utf-8")
    (folder / "cafeteria.md").write_text(f"# [Menu](javascript:alert(1))\n\n{HOSTILE}\n", "utf-8")
    (folder / "dome.eml").write_bytes(_mail())
    (folder / "damaged.pdf").write_bytes(b"%PDF-1.7\nthe rest of this file is lost")


def _mail() -> bytes:
    message = EmailMessage()
    message["Subject"] = "Inspection of the dome"
    message["From"], message["To"] = "ada@example.com", "ben@example.com"
    message.set_content("The inspection of the dome has taken place; its report is attached.")
    report = "The shutter of the dome jams below minus fourteen degrees."
    message.add_attachment(report, filename="report.txt")
    return message.as_bytes()


def _lodging(path: Path) -> None:
    pages = (
        ["Lodging rules", "These rules hold for everyone who travels to the observatory."],
        ["Allowances", LODGING],
        ["Claims", "A claim is handed in at the porter's lodge within nine days."],
    )
    _, height = A4
    canvas = Canvas(str(path), pagesize=A4)
    canvas.setTitle("Lodging rules")
    for heading, text in pages:
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawString(60, height * 0.8, heading)
        canvas.setFont("Helvetica", 11)
        canvas.drawString(60, height * (1 - LODGING_TOP), text)
        canvas.showPage()
    canvas.save()


_RETENTION = f"""# Records retention

What is kept at the observatory, and for how long.

## Logbooks

Logbooks of the large telescope are kept for ever in the vault below the dome.

## Visitor logs

{VISITOR_LOGS} The porter burns them.

## Plates

Photographic plates are kept at four degrees.
"""

_INSTRUMENTS = """Instrument,Price in crowns,Delivery in weeks
Barometer,410,3
Theodolite,1975,12
Hygrometer,265,2
"""
