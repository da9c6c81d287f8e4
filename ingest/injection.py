"""Whether a passage reads like an instruction to a model: signs in eight languages, weighed.

A policy may speak of instructions, a tender of an answer, a manual of a user or of an assistant;
so only the plainest signs decide alone, and the others only together. The constants were fitted in
tests/bench/injection.py, never on one source alone, and the threshold is set for very few false
alarms, because what is flagged by mistake is missed by somebody. A task without any address to a
model ("Who wrote Hamlet?"), a cipher, or a lie told as a fact is not found.

Change anything here, and raise `CHUNKER_VERSION`, so that what is stored is looked at again.
"""

import math
import re
import unicodedata
from typing import NamedTuple


class Finding(NamedTuple):
    """What was found at the worst place of a text."""

    score: float  # in [0, 1]
    reason: str


class Pattern(NamedTuple):
    """A regular expression, and words of which every text that it matches has one."""

    regex: re.Pattern[str]
    stems: tuple[str, ...]

    def occurs_in(self, text: str) -> bool:
        """Whether it matches somewhere. Looking for the stems first costs a tenth of it."""
        return any(stem in text for stem in self.stems) and bool(self.regex.search(text))


class Sign(NamedTuple):
    """Something that instructions to a model have, and how much it says."""

    name: str
    weight: float
    reason: str
    pattern: Pattern


_GAP = re.compile(r"…(\d+)…")


def _any(*patterns: str, stems: str) -> Pattern:
    """One pattern of several, for lower case; `…40…`: at most 40 characters of a sentence.

    `stems` are parted by bars.
    """
    whole = "|".join(f"(?:{pattern})" for pattern in patterns)
    whole = _GAP.sub(r"(?:[^.!?।\\n]|[.!?](?=\\w)){0,\1}?", whole)
    regex = re.compile(unicodedata.normalize("NFKC", whole))
    return Pattern(regex, tuple(unicodedata.normalize("NFKC", stems).split("|")))


def _plain(text: str) -> str:
    """Lower case, and one way of writing what Unicode can write in several."""
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).lower()


# Setting aside what one was told. Only orders: who ignores instructions is in many a handbook.
_OVERRIDE = _any(
    r"(?<!not )(?<!n't )(?<!never )(?<!who )\b(?:ignore|disregard|forget)\b…25…\b(?:previous"
    r"|prior|above"
    r"|preceding|earlier|foregoing|original|initial|system|developer)\b…30…\b(?:instructions?"
    r"|prompts?|guidelines?|directives?|commands?|rules|message)\b",
    r"(?<!not )(?<!n't )(?<!never )(?<!who )\b(?:ignore|disregard|forget|override|bypass) (?:all"
    r" )?(?:of )?"
    r"your (?:own |current |existing |safety |other )*(?:instructions?|prompts?|guidelines?"
    r"|guardrails?|directives?|programming|rules)\b",
    r"\b(?:ignore|disregard|forget)\b…20…\b(?:you have been|you've been|you were) (?:told|given"
    r"|instructed|taught)\b",
    r"\b(?:ignore|disregard|forget) (?:everything|all|anything|the text|the) (?:written )?above\b",
    r"\b(?:ignore|disregard) the\b…40…\band (?:instead )?(?:state|say|claim|print|answer|respond"
    r"|reply|write|output|report)\b",
    r"(?:^|[\"'>:({-])\W{0,3}(?:ignore|disregard|forget) (?:the )?(?:all )?(?:previous|above"
    r"|prior)\b",
    # de
    r"\b(?:ignoriere?|missachte|vergiss|(?:ignorieren|missachten|vergessen) sie) (?:bitte )?"
    r"(?:alle |sämtliche |die )*(?:deine|ihre|\w*herigen|vorangegangenen|obigen|früheren"
    r"|ursprünglichen)…25…(?:anweisung|instruktion|vorgabe|befehl|regel|prompt|aufforderung)",
    r"\b\w*herige[nr]? (?:anweisung|instruktion)\w*\b…15…\b(?:ignorieren|missachten|vergessen)\b",
    r"\bignorier\w*\b…50…\bund (?:sag\w*|antworte\w*|schreib\w*|gib|geben sie|behaupte\w*)\b",
    # fr
    r"\b(?:ignore[zs]?|oublie[zs]?|ne (?:tiens|tenez) pas compte|fai(?:s|tes) abstraction)"
    r" (?:de )?(?:toutes |tous )?(?:(?:les|des) (?:instructions?|consignes?|directives?) (?:"
    r"pr[ée]c|ant[ée]r|ci-dessus|initial|du syst)|(?:de )?(?:tes|vos) (?:instructions?"
    r"|consignes?|règles))",
    r"\bignore[zs]? (?:l[ae]s?|ce|cette)\b…40…\bet (?:indique\w*|dis|dites|répond\w*|écri\w+"
    r"|affirme\w*|déclare\w*)\b",
    # it
    r"\b(?:ignora|ignorate|ignori|dimentica|dimenticate|trascura) (?:tutte )?(?:le )?(?:(?:"
    r"istruzioni|indicazioni|direttive) (?:preced|sopra|inizial|di sistema|fornite)|(?:tue"
    r"|vostre|precedenti)"
    r" (?:istruzioni|indicazioni|direttive|regole))",
    # es, pt
    r"\b(?:ignor[ae]n?|ignorem|olvid[ae]n?|omit[ae]|esque[cç][ae]|desconsidere|haz caso omiso de)"
    r" (?:(?:todas|de) )*(?:las |tus |sus |as |suas )?(?:(?:instrucciones|indicaciones|órdenes"
    r"|instruções|orientações|diretrizes) (?:anterior|previa|prévia|de arriba|acima|del sistema"
    r"|do sistema|iniciai?s|recibidas)|(?:anteriores|previas) (?:instrucciones|instruções))",
    r"\b(?:ignor[ae]|olvid[ae]|esqueça) (?:todas )?(?:as )?(?:tus|suas) (?:instrucciones|reglas"
    r"|instruções|regras)\b",
    r"\bignor[ae] (?:l[ao]s?|el|[ao]s?|est[ea]|il|lo|gli|le)\b…40…\b(?:y|e) (?:di|diga|declar\w+"
    r"|responda?|rispondi|afirm\w+|afferma|escrib\w+|escreva|scrivi|indic\w+)\b",
    # hi
    r"(?:पिछल|पूर्व|पहले|ऊपर|उपरोक्त|सभी|अपने|मूल)…25…(?:निर्देश|अनुदेश|आदेश|हिदायत)…30…(?:अनदेख"
    r"|नज़रअंदाज|नजरअंदाज|उपेक्षा|भूल\s*जा)",
    r"(?:अनदेखा|अनदेखी|भूल\s*जा)…25…(?:पिछल|पूर्व|पहले|ऊपर|सभी|अपने)…25…(?:निर्देश|आदेश|हिदायत)",
    # th
    r"(?:เพิกเฉย|ละเว้น|ไม่ต้องสนใจ|อย่าสนใจ|ลืม|มองข้าม)…20…(?:คำสั่ง|คำแนะนำ|คำชี้แจง)…20…"
    r"(?:ก่อนหน้า|ข้างต้น|เดิม|ที่ผ่านมา|ของคุณ|ระบบ)",
    stems="ignor|disregard|forget|override|bypass|missacht|vergiss|vergessen|oublie|pas compte"
    "|abstraction|dimentica|trascura|olvid|omita|omite|esque|desconsidere|caso omiso|अनदेख|अंदाज"
    "|उपेक्षा|भूल|เพิกเฉย|ละเว้น|สนใจ|ลืม|มองข้าม",
)
# What a chat template, or somebody who pretends to be the system, writes.
_FORGED = _any(
    r"<\s*[|¦]\s*\w[\w ]*[|¦]\s*>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>",
    r"(?m:^)\W{0,8}end of (?:the )?(?:context|passages?|user input|system prompt"
    r"|prompt)\W{0,8}(?m:$)",
    r"(?m:^)\W{0,8}(?:begin|start|new|end) (?:of )?(?:system|admin|developer|hidden|secret) "
    r"(?:instructions?|prompts?|message)\W{0,8}(?m:$)",
    r"</?(?:system|system[_-]prompt|user[_-]input|assistant)>",
    r"(?:(?m:^)|[.!?] )\W{0,6}(?:system|assistant|developer) ?(?:message|prompt|note|override"
    r"|instruction)?\W?"
    r": (?:you (?:are|must|will|should)|ignore|from now|the user|disregard|new instruction)",
    r"\b(?:god|jailbreak|developer|system|override)[ _-]mode\b ?(?:>|\]|enabled|activated)",
    r"\bsystem[ _-](?:prompt|override) ?[:=\]]|\bdo anything now\b",
    r"\b(?:new|updated|revised|important|urgent|special) (?:system )?(?:instructions?|note|message)"
    r" (?:for|to) (?:the |any |all )?(?:ai\b|assistant|language model|llm|chatbot)",
    stems="<|inst]|context|passage|user input|prompt|instruction|message|note for|note to|: you "
    "|: ignore|: from now|: the user|: disregard|mode>|mode >|mode]|mode ]|mode enabled"
    "|mode activated|override|do anything now",
)
# Meddling with the letters or the drift of an answer, as nobody asks of people.
_TAMPER = _any(
    r"\b(?:modify|augment|enhance|enrich|alter|scramble|encode|render|jumble|obfuscate) your "
    r"(?:\w+ )?(?:answer|response|reply|output|summary|message)s?\b",
    r"\b(?:integrate|embed|insert|append|inject|smuggle|hide)\b…120…\b(?:in|into|to|within) your "
    r"(?:\w+ )?(?:answer|response|reply|output|summary)\b",
    r"\badd\b ?[\"“'‘]…120…\bto your (?:answer|response|reply|output|summary)\b",
    r"\bin your (?:answer|response|reply|output|summary)\b,? (?:suggest|tease|promote|urge|tell"
    r" (?:the )?(?:users?|readers?)|recommend (?:that )?(?:users?|readers?))",
    r"\b(?:replace|substitute|swap|convert|rearrange|scramble|misspell|introduce|group|jumble"
    r"|anagram|remove|use|combine|capitali[sz]e|reverse)\b…60…\b(?:letters?|vowels?|words?"
    r"|spaces|typos"
    r"|symbols|anagrams?|numbers)\b…60…\byour (?:answer(?:'s)?|response(?:'s)?|reply|message"
    r"|output)(?!\w)",
    r"\b(?:misspell|anagram|scramble|jumble|replace|substitute|rearrange)\b…40…\byour (?:answer"
    r"|response|reply|message|output)(?!\w)",
    r"\byour (?:answer|response|reply|message|output)\b…25…\b(?:misspell\w*|anagram\w*|substitution"
    r"|without (?:any )?(?:spaces|punctuation|vowels)|typos)\b",
    r"\b(?:füge|baue|flechte|ändere|erwähne|beginne|beende|schreibe|ergänze)\b…80…\bdeine[rmn]? "
    r"(?:antwort|ausgabe|zusammenfassung)\b",
    r"\b(?:ajoute|insère|inclus|mentionne|commence|termine|modifie|remplace)\b…80…\b(?:ta|tes) "
    r"(?:réponses?|sortie)\b",
    r"\b(?:modifica|altera|arricchisci|inserisci|aggiungi)\b…80…\b(?:la |nella |alla )tua"
    r" risposta\b",
    r"\b(?:modifica|altera|enriquece|inserta|añade|agrega)\b…80…\b(?:en |a )?tu (?:respuesta"
    r"|resumen)\b|\b(?:modifique|altere|insira|acrescente|adicione)\b…80…\b(?:n?a )?sua resposta\b",
    r"(?:अपने|अपनी)\s*(?:उत्तर|जवाब|प्रतिक्रिया)\s*(?:में|के|को)…80…(?:जोड़|शामिल|बदल)",
    r"(?:เพิ่ม|ใส่|แทรก|เปลี่ยน|แก้ไข)…80…(?:ในคำตอบของคุณ|คำตอบของคุณ|ในบทสรุปของคุณ)",
    stems="your |deine|réponse|sortie|tua risposta|tu respuesta|tu resumen|sua resposta|उत्तर"
    "|जवाब|प्रतिक्रिया|ของคุณ",
)
# Having a prompt or a conversation told, or sent away.
_REVEAL = _any(
    r"\b(?:reveal|print|output|repeat|disclose|show|leak|display|tell me|give me|share)\b…30…\b"
    r"(?:your|the) (?:system prompt|(?:initial|hidden|secret|original|system) (?:prompts?"
    r"|instructions?)"
    r"|instructions above)",
    r"\b(?:send|forward|post|transmit|upload|e-?mail|exfiltrate|leak)\b…40…\b(?:conversation|chat"
    r" (?:history|log)|system prompt|user's (?:question|prompt|input)|contents? of (?:this|the)"
    r" (?:chat|context))\b…60…(?:https?:|\bto \S+@|\bto (?:www\.)?\w+\.\w)",
    r"\b(?:gib|zeige|verrate|nenne|révèle[sz]?|affiche[sz]?|rivela|mostra|revela|muestra|mostre"
    r"|revele)\b…40…\b(?:system-?prompts?|prompt (?:système|de sistema|del sistema|do sistema"
    r"|di sistema)|instructions système|istruzioni di sistema|instrucciones del sistema"
    r"|instruções do sistema)",
    r"(?:सिस्टम|प्रणाली)\s*(?:प्रॉम्प्ट|निर्देश)…30…(?:बता|दिखा|प्रकट|लिख)",
    r"(?:เปิดเผย|แสดง|บอก)…25…(?:คำสั่งระบบ|พรอมต์(?:ของ)?ระบบ|คำสั่งของระบบ)",
    stems="prompt|initial instr|hidden instr|secret instr|original instr|system instr"
    "|instructions above|conversation|chat|user's |context|instructions système|istruzioni di"
    "|instrucciones del|instruções do|सिस्टम|प्रणाली|คำสั่งระบบ|คำสั่งของระบบ|พรอมต์",
)
# The weaker signs: each has harmless uses.
_ROLE = _any(
    r"\byou are (?:now|no longer|about to) (?:an? |the |in |acting|free|bound|immerse|dan)",
    r"\bfrom (?:now|this point|here) on,? (?:you|answer|respond|act|behave|always|reply|every)",
    r"\b(?:pretend|imagine) (?:to be|that you are|you are|you're)\b|\bact as if you",
    r"\b(?:du bist|sie sind) (?:jetzt|nun|ab sofort) (?:ein|der|die|kein)|\bab (?:jetzt|sofort)"
    r" (?:antworte|bist du|sollst du|wirst du)",
    r"\btu es (?:maintenant|désormais)\b|\bvous êtes (?:maintenant|désormais) une?\b|\bà partir de"
    r" maintenant,? (?:tu|vous|réponds|répondez)",
    r"\b(?:ora|adesso) sei (?:un|una|il)|\bsei ora\b|\bd'ora in (?:poi|avanti),? (?:rispondi|devi)",
    r"\bahora eres\b|\ba partir de ahora,? (?:eres|responde|debes|actúa)|\bagora você é\b"
    r"|\bvocê agora é\b|\ba partir de agora,? (?:você|responda|aja)",
    r"अब\s+(?:आप|तुम)…40…(?:हैं|हो)\b|अब\s*से…30…(?:उत्तर|जवाब)",
    r"ตอนนี้คุณ(?:คือ|เป็น)|(?:จาก|นับแต่|ต่อจาก)นี้(?:ไป|เป็นต้นไป)…20…(?:คุณ|ตอบ)",
    stems="you are |from now on|this point on|from here on|pretend|imagine |act as if|du bist"
    "|sie sind|ab jetzt|ab sofort|tu es |vous êtes|partir de|ora sei|adesso sei|sei ora|d'ora in"
    "|ahora eres|agora você|você agora|अब|ตอนนี้คุณ|นี้ไป|นี้เป็นต้นไป",
)
_USER = _any(
    r"\b(?:do not|don't|never|without)\b…30…\b(?:mention|tell|reveal|inform|disclos|acknowledg)\w*"
    r"…40…\b(?:this (?:instruction|prompt|note)|these instructions|the user)\b",
    r"\b(?:tell|inform|convince|ask|urge|instruct|direct|advise|trick) the user (?:to|that)\b",
    r"\b(?:dem|den) (?:be)?nutzer (?:nichts?|nicht)\b…30…\b(?:sagen|verraten|erwähn|mitteilen)"
    r"|\bsage? (?:dem|der) (?:be)?nutzer(?:in)?\b",
    r"\b(?:dis|dites) à l'utilisateur\b|\bne (?:dis|dites|mentionne\w*|révèle\w*) (?:rien|pas"
    r"|jamais)\b…40…\butilisateur",
    r"\b(?:di'|dì|dire) all'utente\b|\bnon (?:dire|menzionare|rivelare)\b…40…\butente\b",
    r"\b(?:dile|dígale|diga) (?:al|ao) usu[aá]rio\b|\b(?:no|não) (?:le digas|menciones|reveles"
    r"|mencione|revele|diga)\b…40…\busu[aá]rio\b",
    r"उपयोगकर्ता\s*(?:को|से)…40…(?:बताएं|बताओ|कहें|कहो|मत\s*बताएं)",
    r"(?:บอก|แจ้ง)(?:กับ)?ผู้ใช้(?:ให้|ว่า)|(?:อย่า|ห้าม)บอกผู้ใช้",
    stems="the user|this instruction|this prompt|this note|these instructions|nutzer|utilisateur"
    "|utente|usuario|usuário|उपयोगकर्ता|ผู้ใช้",
)
_ANSWER = _any(
    r"\b(?:in|to|of|with|for|from|start|begin|end|provide) your (?:\w+ )?(?:answer|response|reply"
    r"|output|summary)\b",
    r"\b(?:answer|respond|reply|output|say|print|write|state|repeat) (?:only|nothing but|exactly"
    r"|solely|just|instead)\b (?:with|the|that|:|[\"'“‘])",
    r"\b(?:in|zu|am ende) (?:deiner|ihrer) (?:antwort|ausgabe|zusammenfassung)\b|\b(?:antworte|gib"
    r"|schreibe|sage) (?:nur|ausschließlich|immer|stattdessen)\b",
    r"\b(?:dans|à) (?:ta|votre) réponse\b|\b(?:réponds|répondez|écris|dis) (?:seulement|uniquement"
    r"|toujours)\b",
    r"\b(?:nella|alla) (?:tua|vostra) risposta\b|\brispondi (?:solo|soltanto|sempre|unicamente)\b",
    r"\ben (?:tu|su) respuesta\b|\bna sua resposta\b|\b(?:responde|responda|di|diga) (?:solo|sólo"
    r"|únicamente|siempre|apenas|somente|sempre)\b",
    r"(?:अपने|आपके)\s*(?:उत्तर|जवाब)\s*में|(?:केवल|सिर्फ़|सिर्फ|हमेशा)…60…(?:उत्तर|जवाब)\s*द",
    r"ในคำตอบ|ตอบ\s*(?:เพียง|แค่|เฉพาะ|ว่า…40…เท่านั้น)",
    stems="your |nothing but| only | exactly | solely | just | instead |er antwort|er ausgabe"
    "|er zusammenfassung| nur| ausschließlich| immer| stattdessen|ta réponse|votre réponse"
    "|réponds |répondez |écris |dis |a risposta|rispondi |u respuesta|sua resposta| solo| sólo"
    "|únicamente|siempre|apenas|somente|sempre|उत्तर|जवाब|ตอบ",
)
_MODEL = _any(
    r"\b(?:ai|ki|ia)[- ](?:assist[ae]nt\w*|mod\wl\w*|agent\w*|systems?|bots?|chatbots?)",
    r"\b(?:language|sprach)[- ]?model\w*|\bllms?\b|\bchat-?(?:bot|gpt)s?\b",
    r"\b(?:assistant\w?|modèle|modello|modelo|asistente|assistente) (?:(?:d[ei] |d')?[ai][ia]\b"
    r"|d[ei] (?:lenguaje|linguagem|langage)|linguistico|virtual|virtuel)",
    r"\b(?:dear|hey|hello|attention,?|note to(?: the)?|to any|message to(?: the)?) (?:ai\b"
    r"|assistants?\b)",
    r"(?:एआई|ai)\s*(?:सहायक|मॉडल|असिस्टेंट)|भाषा\s*मॉडल|चैटबॉट",
    r"(?:ผู้ช่วย|โมเดล|แบบจำลอง)\s*(?:ai|เอไอ|ปัญญาประดิษฐ์)|โมเดลภาษา|แชทบอท|แชตบอต",
    stems="ai assist|ai-assist|ai mod|ai-mod|ai agent|ai-agent|ai system|ai-system|ai bot|ai-bot"
    "|ai chat|ai-chat|ki assist|ki-assist|ki mod|ki-mod|ki agent|ki-agent|ki system|ki-system"
    "|ki bot|ki-bot|ki chat|ki-chat|ia assist|ia-assist|ia mod|ia-mod|ia agent|ia-agent|ia system"
    "|ia-system|ia bot|ia-bot|ia chat|ia-chat|language model|language-model|languagemodel"
    "|sprachmodel|sprach-model|sprach model|llm|chatbot|chat-bot|chatgpt|chat-gpt|modèle|modello"
    "|modelo|asistente|assistente|assistant|dear ai|hey ai|hello ai|attention|to ai|to the ai"
    "|to any ai|सहायक|मॉडल|असिस्टेंट|चैटबॉट|ผู้ช่วย|โมเดล|แบบจำลอง|แชทบอท|แชตบอต",
)
_LEAK = _any(
    r"!\[[^\]]{0,200}\]\(\s*https?://[^)\s]{1,500}[?=][^)\s]*\)|https?://\S+[?&]\w+=[{\[<]",
    r"\b(?:send|forward|e-?mail|post|upload)\b…60…\b(?:passwords?|credentials|api keys?"
    r"|employee data|confidential)\b…60…(?:https?:|\bto \S+@|\bto www\.)",
    r"\b(?:password|passwort|contraseña|senha|mot de passe)\b…40…\b(?:https?:|www\.|\w+\.com\b)",
    stems="http|www.|.com|@",
)

# Fitted: `python -m tests.bench injection --fit`.
THRESHOLD = 0.9  # above every single sign that has harmless uses
INTERCEPT = -2.2
SIGNS = (
    Sign("override", 11.8, "it tells its reader to set instructions aside", _OVERRIDE),
    Sign("forged", 9.1, "it imitates a chat template or a message of the system", _FORGED),
    Sign("tamper", 10.5, "it tells its reader how to distort an answer", _TAMPER),
    Sign("reveal", 11.1, "it asks for a prompt or a conversation", _REVEAL),
    Sign("role", 1.3, "it gives its reader another role", _ROLE),
    Sign("user", 3.6, "it says what a user is to be told", _USER),
    Sign("answer", 2.4, "it prescribes an answer", _ANSWER),
    Sign("model", 3.9, "it speaks of a language model", _MODEL),
    Sign("leak", 2.0, "it has data sent to an address", _LEAK),
)

MAX_CHARS = 20_000  # looked at; a passage is never as long
_SENTENCE_END = re.compile(r"(?<=[.!?।])\s+|\n\n")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_NEIGHBOURS = 2  # sentences that are weighed together


def suspicion(text: str) -> Finding | None:
    """What makes a passage look like an instruction to a model, None where nothing does enough."""
    best = max(map(_weighed, _signs(text)), default=Finding(0.0, ""))
    return best if best.score >= THRESHOLD else None


def features(text: str) -> list[float]:
    """Which of SIGNS the worst place of a text has, as 0 and 1."""
    worst = max(_signs(text), key=lambda names: _weighed(names).score, default=set())
    return [float(sign.name in worst) for sign in SIGNS]


def _weighed(names: set[str]) -> Finding:
    present = sorted((s for s in SIGNS if s.name in names), key=lambda sign: -sign.weight)
    value = INTERCEPT + sum(sign.weight for sign in present)
    return Finding(1 / (1 + math.exp(-value)), present[0].reason if present else "")


def _signs(text: str) -> list[set[str]]:
    """The names of the signs at each place of a text; empty where it has none at all."""
    plain = _plain(text[:MAX_CHARS])
    forged = {"forged"} if _FORGED.occurs_in(plain) else set()  # the only one that needs its lines
    flat = " ".join(plain.split())
    present = [s for s in SIGNS if s.name != "forged" and s.pattern.occurs_in(flat)]
    if not present:
        return [forged] if forged else []
    sentences = [" ".join(sentence.split()) for sentence in _SENTENCE_END.split(plain)]
    found = [{s.name for s in present if s.pattern.occurs_in(one)} for one in sentences]
    if not any(found):  # it runs over what looks like the end of a sentence
        return [forged | {s.name for s in present}]
    places = range(max(1, len(found) - _NEIGHBOURS + 1))
    return [forged.union(*found[at : at + _NEIGHBOURS]) for at in places]
