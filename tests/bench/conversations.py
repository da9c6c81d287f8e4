"""Conversations about the sample documents, written for the bench of follow-ups.

They were written before the rule that they measure, which was not changed for what it misses of
them. A change of subject stands alone although a conversation comes before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what was asked before it, and the document that answers it (or None)."""

    language: str
    earlier: tuple[str, ...]
    question: str
    file: str | None


SECOND_PARENT = "How many days of leave does the second parent get?"
LONDON = "What is the current hotel limit for a night in London?"
BUSINESS_CLASS = "May I fly business class?"
PARENTAL, HANDBOOK = "hr/parental-leave-policy.docx", "hr/employee-handbook.pdf"
TRAVEL, SECURITY = "hr/travel-and-expense-policy-v4.pdf", "it/information-security-policy.docx"
HOSTING, RUNBOOK = "legal/hosting-agreement-brackwater.pdf", "it/incident-response-runbook.md"
MEMO, FEES = "facilities/memo-car-park-and-charging.rtf", "finance/fee-schedule-2026.pdf"
URLAUB, DATENSCHUTZ = "deutsch/urlaubsrichtlinie.docx", "deutsch/datenschutz-merkblatt.pdf"
TELETRABAJO, GASTOS = "espanol/politica-de-teletrabajo.pdf", "espanol/guia-de-gastos-de-viaje.html"

# language; then what was asked before, in order; the follow-up; and its document
_FOLLOW_UPS: tuple[tuple[str, ...], ...] = (
    ("en", SECOND_PARENT, "And the primary parent?", PARENTAL),
    ("en", SECOND_PARENT, "Can they be taken in several blocks?", PARENTAL),
    ("en", SECOND_PARENT, "What about fertility treatment?", PARENTAL),
    ("en", SECOND_PARENT, "And the primary parent?", "How many weeks of it are paid?", PARENTAL),
    ("en", "How long must a password be?", "How often do I have to change it?", SECURITY),
    ("en", "How long must a password be?", "What happens after too many attempts?", SECURITY),
    ("en", "How quickly must I report a lost laptop?", "What number do I call?", SECURITY),
    ("en", LONDON, "And elsewhere in the UK?", TRAVEL),
    ("en", LONDON, "And in Paris?", TRAVEL),
    ("en", LONDON, "What if nothing can be had for that?", TRAVEL),
    ("en", BUSINESS_CLASS, "Who approves that?", TRAVEL),
    ("en", BUSINESS_CLASS, "Who approves that?", "And first class on the train?", TRAVEL),
    ("en", "What is the mileage rate for my own car above 10,000 miles?", "And below?", TRAVEL),
    ("en", "What is the mileage rate for my own car?", "What about a motorcycle?", TRAVEL),
    ("en", "How much is the surcharge for same-day express?", "Which tests is it not for?", FEES),
    ("en", "What does a rapid Legionella test cost?", "How long does it take?", FEES),
    ("en", "What does charging an electric car cost?", "How long can I stay there?", MEMO),
    ("en", "What does charging an electric car cost?", "How many of them are there?", MEMO),
    (
        *("en", "What availability did Brackwater promise for the portal?"),
        *("What do we get if they miss it?", HOSTING),
    ),
    (
        *("en", "To what amount is Brackwater's liability limited?"),
        *("Are there any exceptions to this?", HOSTING),
    ),
    (
        *("en", "With how many months' notice can the Wexcombe Water agreement be terminated?"),
        *("Until when does it run?", "legal/framework-agreement-wexcombe-water.docx"),
    ),
    (
        *("en", "How long do the duties of confidentiality towards Aldermoor go on?"),
        *("Is there a penalty for breaking them?", "legal/confidentiality-agreement-aldermoor.odt"),
    ),
    (
        *("en", "Within how many hours must the insurer be told about ransomware?"),
        *("What is the policy number?", RUNBOOK),
    ),
    (
        *("en", "Within how many hours must the insurer be told about ransomware?"),
        *("Do we pay?", RUNBOOK),
    ),
    (
        *("en", "Who was the laptop with asset number NV-L-0437 assigned to?"),
        *("When was it bought?", "it/asset-register.csv"),
    ),
    (
        *("en", "What is the IT department's total budget for 2026?"),
        *("How much of that is staff cost?", "finance/budget-2026.xlsx"),
    ),
    (
        *("en", "What do we pay Teslyn for a bottle of helium 6.0?"),
        *("And for argon?", "finance/supplier-rates.tsv"),
    ),
    (
        *("en", "What is the list price of the NV-Log 350?"),
        *("And the 320?", "sales/instrument-price-list-2026.xlsx"),
    ),
    (
        *("en", "By how much do salaries rise in April 2026?"),
        *("And the lowest range?", "board/board-minutes-2026-03-18.md"),
    ),
    (
        *("en", "What was the operating margin in the second quarter of 2026?"),
        *("And a year earlier?", "board/quarterly-review-q2-2026.pptx"),
    ),
    (
        *("en", "How long does the low-temperature cell last at minus 80 degrees?"),
        *("And the ordinary one?", "quality/technical-bulletin-07.pdf"),
    ),
    (
        *("en", "Up to what amount may the Head of Commercial grant a credit after a complaint?"),
        *("Who decides above that?", "quality/complaints-procedure.docx"),
    ),
    (
        *("en", "How long was the blood bank's cabinet above 8 degrees?"),
        *("Why?", "mail/2026-05-13-fridge-alarm-klinikum-fuldatal.eml"),
    ),
    (
        *("en", "What is the net total of the quote to Aldermoor?"),
        *("How long is it valid?", "mail/2026-06-09-revised-quote-aldermoor.eml"),
    ),
    (
        *("en", "How long is a guest voucher for the wireless network valid?"),
        *("Where do I get one?", "it/helpdesk-faq.html"),
    ),
    (
        *("en", "By what day of the month must the payroll form arrive?"),
        *("What if I miss that?", "hr/onboarding.html"),
    ),
    ("en", "How many days of annual leave do I get?", "How many can I carry over?", HANDBOOK),
    ("en", "What does the company pay into my pension?", "From when?", HANDBOOK),
    ("en", "How much is the reward for referring a colleague?", "When is it paid?", HANDBOOK),
    ("en", "What is the on-call allowance?", "And for each call-out?", HANDBOOK),
    ("de", "Wie viele Urlaubstage habe ich im Jahr?", "Und wann verfällt der Rest?", URLAUB),
    ("de", "Wann wird das Urlaubsgeld ausgezahlt?", "Wie hoch ist es?", URLAUB),
    ("de", "Wann wird das Urlaubsgeld ausgezahlt?", "Bekommen Teilzeitkräfte das auch?", URLAUB),
    ("de", "Wie viel Sonderurlaub gibt es für die Hochzeit?", "Und für einen Umzug?", URLAUB),
    ("de", "Wie viele Tage Bildungsurlaub gibt es?", "Bis wann muss ich ihn beantragen?", URLAUB),
    (
        *("de", "Wie lange werden Bewerbungsunterlagen nach einer Absage aufbewahrt?"),
        *("Und Rechnungen?", DATENSCHUTZ),
    ),
    (
        *("de", "Wie lange werden Bewerbungsunterlagen nach einer Absage aufbewahrt?"),
        *("Wer ist dafür verantwortlich?", DATENSCHUTZ),
    ),
    ("de", "Wem muss ich eine Datenpanne melden?", "Wie schnell?", DATENSCHUTZ),
    ("es", "¿Cuántos días a la semana puedo teletrabajar?", "¿Y desde otro país?", TELETRABAJO),
    ("es", "¿Cuánto se paga al mes por la luz e internet?", "¿Y para la silla?", TELETRABAJO),
    ("es", "¿Cuánto se paga al mes por la luz e internet?", "¿Cuándo se paga?", TELETRABAJO),
    ("es", "¿Cuál es el límite de hotel por noche en Madrid?", "¿Y en Sevilla?", GASTOS),
    ("es", "¿Puedo viajar en primera clase en el AVE?", "¿Cuánto puede costar?", GASTOS),
    ("es", "¿Hasta qué importe no hace falta aprobación?", "¿Quién lo aprueba después?", GASTOS),
)
# No sample document is in these languages: they tell only whether a follow-up is recognised.
_RECOGNISED: tuple[tuple[str, ...], ...] = (
    ("fr", "Combien de jours de congé ai-je ?", "Et à temps partiel ?"),
    ("fr", "Combien de jours de congé ai-je ?", "Qui les approuve ?"),
    ("fr", "Quelle est la durée du préavis ?", "Est-ce la même pour les cadres ?"),
    ("fr", "Que couvre l'assurance dentaire ?", "Depuis quand ?"),
    ("it", "Quanti giorni di ferie ho?", "E a tempo parziale?"),
    ("it", "Quanti giorni di ferie ho?", "Chi le approva?"),
    ("it", "Quanto dura il preavviso?", "Vale anche per i dirigenti?"),
    ("it", "Cosa copre l'assicurazione dentale?", "Da quando?"),
    ("pt", "Quantos dias de férias tenho?", "E a tempo parcial?"),
    ("pt", "Quantos dias de férias tenho?", "Quem as aprova?"),
    ("pt", "Qual é o prazo de aviso prévio?", "Isso vale também para diretores?"),
    ("pt", "O que cobre o seguro dentário?", "Desde quando?"),
    ("hi", "मुझे कितने दिन की छुट्टी मिलती है?", "और अंशकालिक कर्मचारियों को?"),
    ("hi", "मुझे कितने दिन की छुट्टी मिलती है?", "इसे कौन मंज़ूर करता है?"),
    ("hi", "नोटिस की अवधि क्या है?", "क्या यह प्रबंधकों पर भी लागू है?"),
    ("hi", "दंत बीमा में क्या शामिल है?", "कब से?"),
    ("th", "ฉันมีวันลาพักร้อนกี่วัน", "แล้วพนักงานพาร์ทไทม์ล่ะ"),
    ("th", "ฉันมีวันลาพักร้อนกี่วัน", "ใครเป็นคนอนุมัติเรื่องนี้"),
    ("th", "ระยะเวลาแจ้งลาออกล่วงหน้ากี่วัน", "ใช้กับผู้จัดการด้วยไหม"),
    ("th", "ประกันทันตกรรมคุ้มครองอะไรบ้าง", "ตั้งแต่เมื่อไร"),
)
_CHANGES: tuple[tuple[str, ...], ...] = (
    ("en", SECOND_PARENT, "And how long must a password be?", SECURITY),
    ("en", LONDON, "And what is the on-call allowance?", HANDBOOK),
    ("en", BUSINESS_CLASS, "How quickly must I report a lost laptop?", SECURITY),
    ("en", "How long must a password be?", "And when is the next fire drill?", MEMO),
    ("en", "What does a rapid Legionella test cost?", "May I accept a gift?", HANDBOOK),
    ("en", "How many days of annual leave do I get?", "Who answers ransomware attackers?", RUNBOOK),
    ("en", "How many days of annual leave do I get?", "Mileage rate for a motorcycle?", TRAVEL),
    ("en", "What is the on-call allowance?", "Then which lunch limit applies in Europe?", TRAVEL),
    (
        *("de", "Wie viele Urlaubstage habe ich?"),
        *("Und wie lange werden Rechnungen aufbewahrt?", DATENSCHUTZ),
    ),
    ("de", "Wem melde ich eine Datenpanne?", "Wann wird das Urlaubsgeld ausgezahlt?", URLAUB),
    (
        *("es", "¿Cuántos días puedo teletrabajar?"),
        *("¿Se paga el aparcamiento en el aeropuerto?", GASTOS),
    ),
    ("es", "¿Se paga el aparcamiento?", "¿Y qué día es obligatoria la presencia?", TELETRABAJO),
)


def follow_ups() -> list[Asked]:
    """Questions that can't be understood alone, with the document that answers each."""
    return list(_asked(_FOLLOW_UPS))


def recognised_only() -> list[Asked]:
    """Follow-ups in the languages that no sample document is in."""
    return [Asked(language, tuple(rest[:-1]), rest[-1], None) for language, *rest in _RECOGNISED]


def changes_of_subject() -> list[Asked]:
    """Questions that stand alone after others."""
    return list(_asked(_CHANGES))


def _asked(rows: tuple[tuple[str, ...], ...]) -> Iterator[Asked]:
    for language, *earlier, question, file in rows:
        yield Asked(language, tuple(earlier), question, file)
