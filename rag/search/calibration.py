"""Texts that a model is quantised with, and others that the result is held against.

Quantising has to know which numbers occur inside the model. They are seen here, on texts of the
kinds and languages that a company's documents have: prose, tables, figures, headings, mail,
questions. All of them were written for this purpose or are put together from such ones, the same
on every machine. `calibration_texts` and `probe_texts` share no sentence.
"""

import itertools
import random
from collections.abc import Iterator

SENTENCES = """\
Either party may terminate this agreement with ninety days' written notice to the other.
Employees accrue 2.5 days of paid leave for each completed month of service.
Net revenue rose by 7.4 % to $1,284.6 million, driven by subscriptions and by a weaker dollar.
We may share your personal information with service providers who process payments for us.
The pump must be switched off and locked before the cover of the impeller is removed.
Inhibition of the kinase reduced tumour growth in mice, whereas the controls showed no change.
To reset the password, open Settings > Security and choose "Forgotten password".
Travel expenses are reimbursed within thirty days after the receipts have been handed in.
The catalogue was reorganised by subject so that readers could find related works on one shelf.
Cookies and similar technologies help us to remember your preferences and to measure our traffic.
Operating expenses for the quarter ended June 30 were 312 million compared with 298 a year ago.
Premiums are due on the first day of the month; coverage lapses after a grace period of 31 days.
In a randomised trial of 1,204 patients the vaccine lowered the risk of hospital admission by 62 %.
The supplier warrants that the goods are free from defects in material and workmanship.
Deployments to production need two approvals and a rollback plan that has been rehearsed.
The committee met on 14 March 2023 and approved the minutes of its previous meeting.
Children under the age of 13 may not create an account, and we delete such data when we learn of it.
Torque the four bolts crosswise to 45 Nm, then turn each of them by another quarter.
Retrieval experiments compare systems by precision and recall over a fixed set of queries.
A deductible of $500 applies to each claim unless the policy schedule says otherwise.
Error 0x80070005 means that the service account lacks write access to C:\\ProgramData\\Agent\\logs.
The tenant shall keep the premises in good repair and return them clean at the end of the lease.
Mutations in the promoter region were associated with lower expression of the transporter.
Please find attached the revised quotation; it replaces the one that I sent you last Tuesday.
Managers review the goals of their teams twice a year, in January and in July.
The company repurchased 3.2 million shares at an average price of $48.17 during the year.
You have the right to access, to correct and to erase the data that we hold about you.
Waste oil is collected in the red containers behind hall 4 and fetched on Wednesdays.
User studies show that scholars browse more often than they search with well-formed queries.
No dental treatment is covered in the first six months, except after an accident.
The index is rebuilt at night; until then new records are found through the journal.
All visitors sign in at the reception and wear a badge while they are on the site.
Carbon emissions per tonne of clinker fell from 812 kg in 2015 to 641 kg in 2022.
Interest accrues daily on the principal outstanding at a rate of SOFR plus 1.75 % a year.
If the alarm sounds, leave the building by the nearest exit and gather at the car park.
We encrypt information in transit and at rest, but no method of transmission is perfectly secure.
Bone marrow cells were cultured for 48 h at 37 °C and stained with fluorescent antibodies.
The licence is not exclusive, cannot be transferred, and ends with the subscription.
Mobile phones are forbidden in the laboratory because of the risk of ignition.
Overtime has to be approved in advance and is paid at one and a half times the hourly wage.
Inventory is valued at the lower of cost, determined by first in, first out, and net value.
The citation index links each paper to those which quote it later.
Third parties such as advertisers and analytics firms collect data under policies of their own.
How many days of parental leave does the company grant, and who has to be told?
What was the operating margin of the cloud segment in the third quarter?
Does the site sell personal data to third parties?
Which statin dose lowers LDL cholesterol without muscle pain?
who approves purchases over 10,000 euros
steps to configure single sign-on with SAML
Describe the role of information scientists in special libraries.
Der Arbeitgeber kann das Arbeitsverhältnis mit einer Frist von drei Monaten kündigen.
Überstunden werden bis zum Ende des folgenden Quartals durch Freizeit ausgeglichen.
Der Umsatz stieg im Geschäftsjahr 2022 um 8,3 Prozent auf 412,7 Millionen Euro.
Vor Beginn der Wartung ist die Anlage spannungsfrei zu schalten und gegen Einschalten zu sichern.
Personenbezogene Daten werden gelöscht, sobald der Zweck ihrer Speicherung entfällt.
Die Mieterin trägt die Kosten der Schönheitsreparaturen, soweit nichts anderes vereinbart ist.
Wie beantrage ich einen neuen Dienstausweis, wenn ich meinen verloren habe?
Die Stadt liegt am Zusammenfluss zweier Flüsse und wurde im 13. Jahrhundert zum ersten Mal erwähnt.
La política de teletrabajo permite tres días por semana con el acuerdo del responsable.
El proveedor responderá de los defectos ocultos durante los veinticuatro meses posteriores.
Los ingresos netos del segundo trimestre ascendieron a 93,1 millones de euros.
¿Cuál es el plazo para presentar una reclamación después de un siniestro?
La batalla terminó con la retirada del ejército y la firma de un tratado en 1748.
Le salarié bénéficie de vingt-cinq jours ouvrables de congés payés par an.
Le contrat est conclu pour une durée de trois ans et se renouvelle par tacite reconduction.
Le chiffre d'affaires consolidé s'élève à 1 204 M€, en hausse de 4,2 % à périmètre constant.
Quelles pièces faut-il joindre à une demande de remboursement ?
Il fornitore si impegna a consegnare la merce entro quindici giorni lavorativi dall'ordine.
I dati personali sono conservati per il tempo necessario alle finalità indicate.
Qual è la procedura per segnalare un guasto alla caldaia?
O trabalhador tem direito a vinte e dois dias úteis de férias em cada ano civil.
A garantia não cobre danos causados por uso indevido ou por instalação incorreta.
De werknemer meldt zich voor negen uur ziek bij zijn leidinggevende.
Pracownik ma prawo do urlopu wypoczynkowego w wymiarze dwudziestu sześciu dni.
Çalışanlar yılda on dört gün ücretli izin kullanabilir.
कर्मचारी को हर साल बीस दिन की सवेतन छुट्टी मिलती है और इसके लिए पहले से आवेदन करना होता है।
พนักงานมีสิทธิลาพักร้อนปีละสิบวันโดยต้องแจ้งล่วงหน้าอย่างน้อยหนึ่งสัปดาห์
Сотрудник обязан сообщить о болезни до девяти часов утра первого дня отсутствия.
يحق للموظف الحصول على إجازة سنوية مدفوعة الأجر مدتها واحد وعشرون يوما
员工每年享有十天带薪年假，须提前两周提出申请。
従業員は毎年二十日間の有給休暇を取得することができます。
The orchestra was founded in 1882 and moved into its present hall on the river bank in 1963.
Glaciers carve U-shaped valleys, leaving moraines of gravel and clay where the ice melts.
def load(path: str) -> dict: return json.loads(Path(path).read_text(encoding="utf-8"))
SELECT region, SUM(amount) FROM orders WHERE year = 2024 GROUP BY region ORDER BY 2 DESC;
See section 4.2.1 (b), table 7 and appendix C of ISO 9001:2015; cf. 29 CFR § 1910.147.
""".splitlines()

TITLES = """\
Employee Handbook|Leave and absence|Annual leave
Framework Agreement 2021-114|Term and termination
Quarterly Report Q3|Management's Discussion and Analysis|Results of Operations
Privacy Policy|Information we collect|Third parties
Operating Manual HX-200|Maintenance|Safety
Benefits Summary|Medical plan|Out-of-network services
IT Service Catalogue|Access management
Betriebsvereinbarung Arbeitszeit|Gleitzeit
Informe anual|Recursos humanos
Conditions générales de vente|Livraison
Meeting minutes 2023-03-14
Expression of transporters in renal carcinoma cells
The history of subject headings
""".splitlines()

COLUMNS = ("Item", "Region", "Quantity", "Unit price", "Amount", "Date", "Status", "Owner")
CELLS = (
    *("Valve DN50", "EMEA", "North America", "open", "closed", "n/a", "Gasket", "Premium plan"),
    *("K. Novak", "Hosting", "2024-03-31", "Q2", "yes", "no", "—", "Lizenz", "Total", "Büro"),
)

N_TEXTS = 300
HELD_BACK = 4  # every fourth sentence and title is for probes only
LENGTHS = (1, 1, 2, 3, 4, 6, 8)  # sentences in a text; the longest pass the window of 256 tokens


def calibration_texts(n: int = N_TEXTS) -> list[str]:
    """The texts that quantising sees."""
    return _texts([s for i, s in enumerate(SENTENCES) if i % HELD_BACK], 1, n)


def probe_texts(n: int = 64) -> list[str]:
    """Texts that it does not see, for comparing the result with the original."""
    return ["x", *_texts(SENTENCES[::HELD_BACK], 2, n - 1)]


def _texts(sentences: list[str], seed: int, n: int) -> list[str]:
    """Prose, tables and lists by turns, two of three below the titles that a chunk has."""
    chance = random.Random(seed)  # noqa: S311  no secret, and the same everywhere
    kinds = itertools.cycle((_prose, _prose, _prose, _table, _prose, _list))
    texts = []
    for kind in itertools.islice(kinds, n):
        body = kind(chance, sentences)
        title = "\n".join(chance.choice(TITLES).split("|")) + "\n"
        texts.append(title * (chance.random() < 2 / 3) + body)
    return texts


def _prose(chance: random.Random, sentences: list[str]) -> str:
    """Sentences that stand near each other above, hence mostly of one language."""
    n = chance.choice(LENGTHS)
    start = chance.randrange(len(sentences))
    return " ".join(sentences[(start + step) % len(sentences)] for step in range(n))


def _list(chance: random.Random, sentences: list[str]) -> str:
    chosen = chance.sample(sentences, chance.choice(LENGTHS))
    return "\n".join(f"{number}. {text}" for number, text in enumerate(chosen, 1))


def _table(chance: random.Random, sentences: list[str]) -> str:
    """A table as the chunker writes it: its header and its rows, cells between bars."""
    columns = chance.sample(COLUMNS, chance.randint(2, 6))
    rows = [columns, *(list(_cells(chance, len(columns))) for _ in range(chance.randint(2, 14)))]
    return "\n".join(" | ".join(row) for row in rows)


def _cells(chance: random.Random, n: int) -> Iterator[str]:
    for _ in range(n):
        figure = chance.choice((f"{chance.randrange(10**6):,}", f"{chance.uniform(0, 500):.2f}"))
        yield chance.choice((figure, chance.choice(CELLS)))
