"""Short questions of employees in the eight languages, written for the bench of languages."""

QUESTIONS = {
    "en": """
How many days of leave do I get?
What is the notice period?
Who approves travel expenses?
Can I work from home?
Where is the first aid kit?
When is payday?
Is parental leave paid?
Which laptop do I get?
Who is our data protection officer?
What does the dental plan cover?
Meal allowance abroad?
Sick note from which day?
How do I reset my password?
Does Alessandro Rossi sign contracts?
What changed in version 4.2?
Total revenue of Siemens in 2023?
Are dogs allowed in the office?
Overtime: paid or compensated?
Who do I call after hours?
Maximum hotel price in Paris?
""",
    "de": """
Wie viele Urlaubstage habe ich?
Wie lang ist die Kündigungsfrist?
Wer genehmigt Reisekosten?
Darf ich von zu Hause arbeiten?
Wo ist der Verbandskasten?
Wann kommt das Gehalt?
Ist Elternzeit bezahlt?
Welchen Laptop bekomme ich?
Wer ist unser Datenschutzbeauftragter?
Was zahlt die Zahnversicherung?
Verpflegungspauschale im Ausland?
Krankmeldung ab welchem Tag?
Wie setze ich mein Passwort zurück?
Unterschreibt Alessandro Rossi Verträge?
Was ist neu in Version 4.2?
Umsatz von Microsoft 2023?
Sind Hunde im Büro erlaubt?
Überstunden: bezahlt oder abgefeiert?
Wen rufe ich nachts an?
Maximaler Hotelpreis in Paris?
""",
    "fr": """
Combien de jours de congé ai-je ?
Quelle est la durée du préavis ?
Qui approuve les frais de voyage ?
Puis-je travailler de chez moi ?
Où est la trousse de secours ?
Quand tombe la paie ?
Le congé parental est-il payé ?
Quel portable vais-je recevoir ?
Qui est notre délégué à la protection des données ?
Que couvre l'assurance dentaire ?
Indemnité de repas à l'étranger ?
Arrêt maladie dès quel jour ?
Comment réinitialiser mon mot de passe ?
Est-ce qu'Alessandro Rossi signe les contrats ?
Quoi de neuf dans la version 4.2 ?
Chiffre d'affaires de Siemens en 2023 ?
Les chiens sont-ils admis au bureau ?
Heures supplémentaires : payées ou récupérées ?
Qui appeler la nuit ?
Prix maximal d'un hôtel à Londres ?
""",
    "it": """
Quanti giorni di ferie ho?
Quanto dura il preavviso?
Chi approva le spese di viaggio?
Posso lavorare da casa?
Dov'è la cassetta del pronto soccorso?
Quando arriva lo stipendio?
Il congedo parentale è pagato?
Quale portatile ricevo?
Chi è il nostro responsabile della protezione dei dati?
Cosa copre l'assicurazione dentale?
Indennità pasti all'estero?
Certificato medico da che giorno?
Come reimposto la password?
Angela Schmidt firma i contratti?
Che cosa cambia nella versione 4.2?
Fatturato di Siemens nel 2023?
I cani sono ammessi in ufficio?
Straordinari: pagati o recuperati?
Chi chiamo di notte?
Prezzo massimo di un albergo a Londra?
""",
    "pt": """
Quantos dias de férias tenho?
Qual é o prazo de aviso prévio?
Quem aprova as despesas de viagem?
Posso trabalhar de casa?
Onde está o kit de primeiros socorros?
Quando cai o salário?
A licença parental é paga?
Que portátil vou receber?
Quem é o nosso encarregado da proteção de dados?
O que cobre o plano dentário?
Subsídio de refeição no estrangeiro?
Atestado médico a partir de que dia?
Como redefino a minha senha?
A Angela Schmidt assina contratos?
O que mudou na versão 4.2?
Faturamento da Siemens em 2023?
Cães são permitidos no escritório?
Horas extras: pagas ou compensadas?
Para quem ligo à noite?
Preço máximo de hotel em Londres?
""",
    "es": """
¿Cuántos días de vacaciones tengo?
¿Cuál es el plazo de preaviso?
¿Quién aprueba los gastos de viaje?
¿Puedo trabajar desde casa?
¿Dónde está el botiquín?
¿Cuándo llega la nómina?
¿El permiso parental es pagado?
¿Qué portátil me dan?
¿Quién es nuestro delegado de protección de datos?
¿Qué cubre el seguro dental?
¿Dietas en el extranjero?
¿Baja médica desde qué día?
Cómo restablezco mi contraseña
Angela Schmidt firma los contratos?
Qué cambió en la versión 4.2
Ventas de Siemens en 2023
Se permiten perros en la oficina?
Horas extra: pagadas o compensadas?
A quién llamo de noche?
Precio máximo de hotel en Londres
""",
    "hi": """
मुझे कितनी छुट्टियाँ मिलती हैं?
नोटिस की अवधि कितनी है?
यात्रा खर्च कौन मंज़ूर करता है?
क्या मैं घर से काम कर सकता हूँ?
वेतन कब आता है?
CEO कौन है?
VPN कैसे चालू करें?
Microsoft Teams का पासवर्ड?
विदेश में भोजन भत्ता?
ISO 27001 क्या है?
""",
    "th": """
ลาพักร้อนได้กี่วัน
ระยะเวลาแจ้งล่วงหน้านานเท่าไร
ใครอนุมัติค่าเดินทาง
ทำงานจากบ้านได้ไหม
เงินเดือนออกเมื่อไหร่
CEO คือใคร
เปิด VPN อย่างไร
รหัสผ่าน Microsoft Teams
ค่าอาหารในต่างประเทศ
ISO 27001 คืออะไร
""",
}
