"""The words by which a question leans on what was said before it, in eight languages.

All are spelt as `rag.answer.leaning.spoken` leaves them: one space between words, no apostrophes,
hyphens or question marks. A pattern matches whole words and takes no notice of case, but where it
says (?-i:…).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """What is known of a language. Each but `light` is a pattern over words."""

    ties: str  # at the beginning: what follows belongs to what was said
    joins: str  # at the beginning: so it does where little follows
    empties: str  # words that look as if they pointed at something, and don't
    points: str  # what points at something
    owns: str  # what points as well, unless anything is named before it
    clauses: str  # where a clause ends
    short: str  # what the end of a sentence begins with
    asks: str  # question words and verbs that such an end doesn't have
    light: str  # words that name nothing


_EN = Words(
    ties="(?:and |but )?(?:(?:what|how) about|what if|why not|how so|what else"
    "|(?:the )?same for)|and (?:if|then|after that)",
    joins="and|but|or|then|also|even",
    empties="(?:is|are|was|were|be|will|has|have|isn t|aren t) there|there (?:is|are|was|were"
    "|will|s)|(?:is|was|s) it (?:\\S+ ){1,2}(?:to|that|if|for)|it (?:is|was"
    "|s) (?:\\S+ ){1,2}(?:to|that|if)|it (?:take|cost)(?: \\S+){0,4} to",
    points="(?-i:it|It)|they|them|themselves|he|him|she|her|hers|theirs|(?:this"
    "|these)(?! (?:year|month|week|quarter|company|firm|organi[sz]ation|web))|(?:is|was|does"
    "|did|do|can|will|would|about|for|of|after|before|with|from|like|in|at|on|by|than|to|what"
    "|why|how|approves?|decides?|pays?|above|below|over|under) (?:that|those)(?: .*)?|(?:that"
    "|those)$|there|the (?:same|latter|former|others)|the other$|(?:the \\S+|which|what) ones?"
    "|get one",
    owns="its|their|his",
    clauses=",|;|:|and|or|but|if|when|that|which|who|while|because",
    short="(?:and )?(?:in|at|on|for|from|by|with|without|under|over|above|below|after|before"
    "|until|till|since|during|per|between|to|as|within|elsewhere)",
    asks="who|whom|whose|what|which|where|when|why|how|is|are|was|were|do|does|did|can|could"
    "|may|must|should|will|would|has|have|need",
    light="a an the of to in on at for from by with without within under over above below about"
    " after before until till since during per between into up out and or but not no if when"
    " than then also too only even just still yet so as is are was were be been being am do"
    " does did done doing have has had having can could may might must shall should will would"
    " need needs get gets got getting give gives given take takes took taken make makes made go"
    " goes come comes say says said tell told happen happens happened mean means apply applies"
    " last lasts who whom whose what which where when why how much many long often old fast"
    " quick quickly soon late far early high big large low i me my mine we us our you your"
    " yours one ones any some every each all both other others another else more less most"
    " least there here it its they them their he him his she her this that these those same s t"
    " re ll ve pay pays paid cost costs charge charged approve approves approved approval"
    " decide decides decided allow allowed valid possible necessary required responsible"
    " exactly amount limit maximum minimum max min deadline rate price number exception"
    " exceptions detail details reason reasons example examples rule rules case cases time"
    " times day days week weeks month months year years hour hours percent start starts end"
    " ends begin begins begin change changed now please ok okay yes",
)
_DE = Words(
    ties="(?:und |aber )?(?:was ist mit|wie (?:ist|sieht) (?:das|es) (?:mit|bei|aus)|was noch"
    "|was sonst|warum nicht|wieso nicht)|und (?:wenn|falls|danach|dann)",
    joins="und|aber|oder|auch|dann|sogar",
    empties="gibt es|es gibt|es geben|geht es um|dauert es ,|da(?:bei|für|mit|r?an|rauf|rüber"
    "|von|zu)(?: \\S+){0,3} ,(?= (?:.* )?(?:dass|ob|wie|zu))|handelt es sich|(?:ist|wäre"
    "|war) es (?:\\S+ ){0,2}(?:möglich|erlaubt|nötig|notwendig|zulässig|üblich)"
    "|es (?:\\S+ ){1,3}(?:möglich|erlaubt|nötig|notwendig|zulässig|üblich) ist",
    points="er|es|ihn|ihm|ihnen|dies|dessen|denen|damit|dafür|davon|dazu|darin|darauf|daran"
    "|darüber|darunter|dabei|danach|davor|dagegen|dort|dorthin|(?-i:sie|ihr)"
    "|diese[rsmn]?(?! (?:jahr|monat|woche|quartal|firma|unternehmen))|jene[rsmn]?|(?:der|die"
    "|das|den|dem) ?selben?|letztere[rsmn]?|das(?= (?:auch|nur|immer|noch|dann|genau|eigentlich"
    "|denn|jetzt|schon|nicht|alles|überhaupt|für|bei|im|in|an|auf|ab|bis))"
    "|das(?: (?-i:[a-zäöüß]+))?$|(?:der|die|den|dem)$|(?:der|die|das|dem"
    "|den) (?-i:andere[rsmn]?|gewöhnliche[rsmn]?|erste[rsmn]?|zweite[rsmn]?|letzte[rsmn]?)$",
    owns="seine[rsmn]?|(?-i:ihre[rsmn]?)|deren",
    clauses=",|;|:|und|oder|aber|wenn|falls|dass|weil",
    short="(?:und )?(?:in|im|am|an|auf|bei|für|mit|ohne|nach|vor|ab|bis|seit|während|pro|unter"
    "|über|aus|von|vom|zum|zur|zu|als|innerhalb|außerhalb)",
    asks="wer|wen|wem|wessen|was|wo|wohin|woher|wann|warum|wieso|weshalb|wie|welche[rsmn]?"
    "|wofür|worüber|ist|sind|war|wird|werden|hat|habe|haben|kann|können|darf|dürfen|muss|müssen"
    "|soll|sollen|gibt|gilt|bekomme[nt]?|bekommt",
    light="der die das den dem des ein eine einen einem einer eines und oder aber nicht kein"
    " keine keinen ist sind war waren wäre wird werden wurde wurden worden geworden sein hat"
    " habe haben hatte kann können könnte darf dürfen muss müssen soll sollen sollte will"
    " wollen in im am an auf bei für mit ohne nach vor ab bis seit während pro unter über aus"
    " von vom zu zum zur als wenn falls dann auch nur noch schon immer genau eigentlich denn"
    " jetzt sonst so sehr mehr weniger wer wen wem wessen was wo wohin woher wann warum wieso"
    " weshalb wie wofür woran welche welcher welches welchen welchem viel viele vielen lange"
    " lang oft hoch schnell früh spät weit alt groß ich mich mir mein meine meinen wir uns"
    " unser unsere sie ihr ihre ihren ihm ihn ihnen er es man dies diese dieser dieses diesem"
    " diesen das dafür davon dazu damit darin darauf dort da selbe gibt geht gilt gelten dauert"
    " kostet kosten zahlt zahlen bezahlt gezahlt bekomme bekommt bekommen erhält erhalten macht"
    " machen tun passiert geschieht genehmigt genehmigen entscheidet entscheiden zuständig"
    " verantwortlich erlaubt möglich nötig gültig höchstens mindestens maximal minimal maximum"
    " minimum betrag grenze frist preis zahl nummer ausnahme ausnahmen grund gründe beispiel"
    " beispiele regel regeln fall tag tage tagen woche wochen monat monate monaten jahr jahre"
    " jahren stunde stunden zeit prozent euro bitte ja",
)
_FR = Words(
    ties="(?:et |mais )?(?:qu en est il|pourquoi pas|quoi d autre|quid|même chose pour)"
    "|et (?:si|pour|après)|pareil pour",
    joins="et|mais|ou|aussi|puis(?! je)|alors|même",
    empties="est ce qu[ei]?|qu est ce qu[ei]?|ce qu[ei]?|c est (?:\\S+ )?(?:à|que)|il y a"
    "|y a t il|y a|faut il|il faut|s agit il|il s agit|peut il y avoir|tout le monde|(?:est"
    "|était) il (?:\\S+ )?(?:possible|permis|nécessaire|obligatoire|autorisé|interdit)",
    points="il|elle|ils|elles|lui|cela|ça|ceci|celui|celle|ceux|celles|là|y|dont|qui (?:le|la"
    "|les|l|en) \\S+|(?:est|sont|était) ce|c est|c|(?:ce|cet|cette|ces)(?! (?:année|mois"
    "|semaine|trimestre|entreprise|société))|(?:le|la|les) mêmes?|(?:le|la|les|l) autres?$"
    "|lequel|laquelle|lesquels|lesquelles|en (?:a|ai|ont|est)",
    owns="son|sa|ses|leur|leurs|(?:est|sont|a|ont|peut|peuvent|doit|doivent|\\S+ t) (?:il|elle"
    "|ils|elles)",
    clauses=",|;|:|et|ou|mais|si|quand|lorsque|que|qui",
    short="(?:et )?(?:à|au|aux|en|dans|pour|avec|sans|sur|sous|chez|après|avant|depuis|jusqu"
    "|jusque|pendant|par|entre|dès|comme)",
    asks="qui|que|qu|quoi|quel|quelle|quels|quelles|où|quand|pourquoi|comment|combien|est|sont"
    "|a|ai|ont|peut|peux|puis|dois|doit|faut",
    light="le la les l un une des du de d à au aux en dans sur sous par pour avec sans chez"
    " après avant depuis jusqu jusque pendant entre dès et ou mais ne n pas plus moins très"
    " aussi même mêmes alors puis si que qu qui quoi quel quelle quels quelles lequel laquelle"
    " où quand pourquoi comment combien est sont était être été a ai as ont avoir eu peut peux"
    " puis peuvent dois doit doivent faut fait font faire va vont je j me m mon ma mes nous"
    " notre nos vous votre vos il elle ils elles on se s son sa ses leur leurs ce cet cette ces"
    " cela ça c y t lui celui celle tout tous toute toutes autre autres paie payé payée payés"
    " payer coûte coûter dure durer approuve approuver décide décider valable possible"
    " nécessaire responsable montant limite maximum minimum délai prix taux numéro"
    " exception exceptions raison exemple exemples règle règles cas jour jours semaine semaines"
    " mois an ans année années heure heures temps fois longtemps vite pourcent euros partir oui",
)
_IT = Words(
    ties="(?:e |ma )?(?:che ne (?:è|dici)|cos altro|che altro|perché no|lo stesso (?:per|vale)"
    "|vale (?:lo stesso|anche))|e (?:se|per|dopo)",
    joins="e|ed|ma|o|anche|poi|allora|pure",
    empties="c è|c era|ci sono|ci sarà|quell[oiae] che|ciò che|questo è",
    points="esso|essa|essi|esse|lui|egli|ella|ciò|loro|(?-i:lei)|lì|là|ne (?:ho|ha|hanno)"
    "|quest[oaei](?! (?:anno|mese|settimana|trimestre|azienda|società|impresa))|quest(?! anno)"
    "|quell[oaei]?|chi (?:lo|la|li|le|l) \\S+|(?:lo|la|il) stess[oa]|gli stessi|le stesse|(?:l"
    "|gli|le) altr[oaei]$|quale$",
    owns="suo|sua|suoi|sue",
    clauses=",|;|:|e|ed|o|ma|se|quando|che|chi",
    short="(?:e |ed )?(?:a|al|allo|alla|ai|agli|alle|in|nel|nella|per|con|senza|su|sul|sulla|da"
    "|dal|dalla|dopo|prima|durante|fino|entro|sotto|sopra|oltre|come|tra|fra)",
    asks="chi|che|cosa|cos|quale|quali|dove|dov|quando|perché|come|quanto|quanta|quanti|quante"
    "|è|sono|ha|ho|hanno|può|posso|devo|deve|vale",
    light="il lo la i gli le l un uno una di del dello della dei degli delle d a al allo alla"
    " ai agli alle in nel nella per con senza su sul sulla da dal dalla dopo prima durante fino"
    " entro sotto sopra oltre tra fra e ed o ma non né se che chi cosa cos quale quali dove dov"
    " quando perché come quanto quanta quanti quante è sono era essere stato ha ho hanno avere"
    " può posso possono devo deve devono si ci c ne mi ti io mio mia miei mie noi nostro nostra"
    " voi vostro vostra tu tuo tua suo sua suoi sue lui lei loro esso essa questo questa questi"
    " queste quello quella quelli quelle ciò stesso stessa anche poi allora pure solo ancora"
    " già più meno molto tutto tutti tutte altro altra altri altre paga pagare pagato pagata"
    " pagati costa costare dura durare approva approvare decide vale valido valida possibile"
    " necessario permesso responsabile importo limite massimo minimo scade scadono scadenza"
    " termine prezzo numero eccezione eccezioni motivo esempio esempi regola regole caso giorno"
    " giorni settimana settimane mese mesi anno anni ora ore tempo volta volte euro partire sì",
)
_PT = Words(
    ties="(?:e |mas )?(?:que tal|e quanto a|o que mais|por que não|o mesmo para|vale o mesmo)"
    "|e (?:se|para|depois|quanto)",
    joins="e|mas|ou|quanto a|também|então|até",
    empties="(?:este|esse|neste|nesse|deste|desse|esta|essa|nesta|nessa|desta|dessa) (?:ano|mês"
    "|semana|trimestre|empresa|companhia)|o que é isso",
    points="ele|ela|eles|elas|isso|isto|aquilo|ess[ea]s?|est[ea]s?|aquel[ea]s?|del[ea]s?"
    "|nel[ea]s?|diss?to|disso|niss?to|nisso|dess[ea]s?|dest[ea]s?|ness[ea]s?|nest[ea]s?"
    "|daquel[ea]s?|lá|ali|quem (?:o|a|os|as) \\S+|(?:o|a|os|as) mesm[oa]s?|(?:o|a|os"
    "|as) outr[oa]s?$",
    owns="",
    clauses=",|;|:|e|ou|mas|se|quando|que|quem",
    short="(?:e )?(?:à|ao|aos|às|em|no|na|nos|nas|para|por|pelo|pela|com|sem|sobre|de|do|da"
    "|desde|até|após|depois|antes|durante|entre|como|dentro)",
    asks="quem|que|qual|quais|onde|quando|porque|como|quanto|quantos|quanta|quantas|é|são|há"
    "|tem|tenho|pode|posso|devo|deve|vale",
    light="o a os as um uma uns umas de do da dos das em no na nos nas ao à aos às por pelo"
    " pela para com sem sobre desde até após depois antes durante entre e ou mas não se que"
    " quem qual quais onde quando porque como quanto quantos quanta quantas é são era ser está"
    " estão há tem têm tenho ter pode posso podem devo deve devem eu me meu minha nós nos nosso"
    " nossa você vocês seu sua ele ela eles elas isso isto este esta esse essa mesmo mesma"
    " também então já ainda mais menos muito todo todos toda todas outro outra outros outras"
    " paga pagar pago paga pagos custa custar dura durar demora aprova aprovar decide decidir"
    " vale aplica válido válida possível necessário permitido responsável valor limite máximo"
    " mínimo prazo preço número exceção exceções motivo exemplo exemplos regra regras caso dia"
    " dias semana semanas mês meses ano anos hora horas tempo vez vezes euros partir sim",
)
_ES = Words(
    ties="(?:y |pero )?(?:qué (?:hay de|pasa con|tal)|qué más|por qué no|lo mismo para)|y (?:si"
    "|después)",
    joins="y|e|pero|o|en cuanto a|también|entonces|incluso",
    empties="(?:este|ese|esta|esa) (?:año|mes|semana|trimestre|empresa|compañía)|(?:lo|el|la) que",
    points="él|ella|ellos|ellas|ello|eso|esto|aquello|es[ae]|es[oa]s|est[ae]|est[oa]s|aquel"
    "|aquella|aquell[oa]s|allí|allá|ahí|dich[oa]s?|(?:lo|el|la|los|las) mism[oa]s?|(?:quién"
    "|quien|cómo|dónde|cuándo) (?:lo|la|los|las) \\S+|(?:el|la|los|las) otr[oa]s?$",
    owns="su|sus",
    clauses=",|;|:|y|e|o|pero|si|cuando|que|quien",
    short="(?:y )?(?:a|al|en|para|por|con|sin|sobre|de|del|desde|hasta|tras|después|antes"
    "|durante|entre|como|dentro|según)",
    asks="quién|quien|quiénes|qué|que|cuál|cual|cuáles|dónde|cuándo|cuando|cómo|cuánto|cuántos"
    "|cuánta|cuántas|es|son|hay|ha|he|tiene|tengo|puede|puedo|debo|debe|vale",
    light="el la los las lo un una unos unas de del a al en por para con sin sobre desde hasta"
    " tras después antes durante entre según y e o pero no si que qué quién quien quiénes cuál"
    " cual cuáles dónde cuándo cuando cómo como cuánto cuántos cuánta cuántas es son era ser"
    " está están hay ha he han tiene tienen tengo tener puede puedo pueden debo debe deben hace"
    " hacer yo me mi mis nosotros nos nuestro nuestra usted ustedes tú tu tus su sus se le les"
    " él ella ellos ellas eso esto ese esa este esta mismo misma también entonces ya aún"
    " todavía más menos muy mucho todo todos toda todas otro otra otros otras paga pagan pagar"
    " pagado cuesta cuestan costar dura duran durar tarda aprueba aprobar decide decidir vale"
    " aplica válido válida posible necesario permitido responsable importe límite máximo mínimo"
    " plazo precio número excepción excepciones motivo ejemplo ejemplos regla reglas caso día"
    " días semana semanas mes meses año años hora horas tiempo vez veces euros partir sí",
)
_HI = Words(
    ties="(?:और|लेकिन|पर) (?:अगर|फिर|बाकी)|और क्या|.* के बारे में क्या",
    joins="और|लेकिन|या|फिर|तो",
    empties="इस (?:साल|वर्ष|महीने|सप्ताह|हफ्ते|कंपनी|तरह|प्रकार)|(?:यह|ऐसा) कि|(?:वह|यह|वे|उस|उन|ऐसा|ऐसे"
    "|ऐसी)(?= .*(?<!\\S)(?:जो|जिस|जिन)\\S*)",
    points="यह|वह|ये|वे|इस|उस|इन|उन|इसे|उसे|इन्हें|उन्हें|इसमें|उसमें|इससे|उससे|इनमें|उनमें|इसपर|उसपर|वहां|वही|उसी"
    "|इसी|ऐसा|ऐसे|ऐसी",
    owns="इसका|इसकी|इसके|उसका|उसकी|उसके|इनका|इनकी|इनके|उनका|उनकी|उनके|इसने|उसने|उन्होंने",
    clauses=",|;|:|और|या|लेकिन|अगर|जब|कि|तो|जो",
    short="(?:\\S+ ){1,4}(?:में|को|पर|से|के लिए|के बाद|के बिना|के साथ|तक)$",
    asks="क्या|कौन|कब|कहां|क्यों|कैसे|कैसा|कितना|कितनी|कितने|किस|किसे|किसने|किसका|किसकी|किसके|है|हैं|होगा"
    "|होगी|सकता|सकती|सकते",
    light="के का की को में है हैं से और पर ने यह वह ये वे था थी थे हो होता होती होते होना होगा होगी होंगे हुआ"
    " हुई हुए तो भी ही या कि जो एक इस उस इन उन इसे उसे इसका इसकी इसके उसका उसकी उसके लिए साथ तक बाद"
    " पहले बिना तथा एवं किया किए गया गई गए दिया रहा रही रहे सकता सकती सकते जाता जाती जाते करता करती"
    " करते कर करना करें क्या कौन कब कहां क्यों कैसे कैसा कितना कितनी कितने किस किसने किसे किसका किसकी किसके"
    " किन सा सी मैं मुझे मेरा मेरी मेरे हम हमें हमारा हमारी हमारे आप आपका आपकी आपके अपना अपनी अपने न नहीं मंजूर"
    " मंजूरी लागू मान्य संभव जरूरी अनुमति खर्च कीमत सीमा अधिकतम न्यूनतम समय दिन दिनों हफ्ते सप्ताह महीने महीना"
    " साल वर्ष घंटे बार अवधि नियम अपवाद कारण उदाहरण नंबर संख्या राशि अगर लेकिन फिर भुगतान मिलता मिलती"
    " मिलते मिलेगा मिलेगी लगता लगती चाहिए",
)
_TH = Words(
    ties="แล้ว (?:ถ้า|ใน|สำหรับ|กรณี).*|.* (?:ล่ะ|หล่ะ|ละ)",
    joins="แล้ว|และ|แต่|หรือ",
    empties="ก่อน หน้า นี้|(?:ปี|เดือน|วัน|สัปดาห์|ครั้ง|บริษัท|องค์กร) นี้|(?:ปี|เดือน|วัน) นั้น",
    points="มัน|พวก เขา|เขา|นั้น|นั่น|นี้|นี่|ดัง กล่าว|ดังกล่าว|อัน นั้น|ที่ นั่น|เหล่า นั้น",
    owns="",
    clauses=",|;|:|และ|หรือ|แต่|ถ้า|เมื่อ|ซึ่ง|ว่า",
    short="(?:ใน|ที่|สำหรับ|กับ|จาก|หลัง|ก่อน|ตั้งแต่|ใช้ กับ|ใช้กับ)",
    asks="ใคร|อะไร|เมื่อไร|เมื่อไหร่|เมื่อใด|ที่ ไหน|ไหน|ทำไม|อย่างไร|ยังไง|กี่|เท่าไร|เท่าไหร่|เท่าใด|ได้|คือ|เป็น|มี",
    light="ที่ ของ และ ใน เป็น ได้ มี การ ความ จะ ให้ กับ ก็ ว่า ไม่ นี้ นั้น นี่ นั่น คือ อะไร ใคร เมื่อ เมื่อไร"
    " เมื่อไหร่ เมื่อใด ไร ไหร่ เท่าไร เท่าไหร่ เท่าใด เท่า กี่ ไหน ใด ทำไม อย่าง อย่างไร ยังไง ไหม มั้ย หรือ เปล่า"
    " โดย จาก ไป มา แล้ว อยู่ ต้อง ซึ่ง ถึง เพื่อ เพราะ แต่ ต่อ ผม ฉัน ดิฉัน เรา คุณ เขา พวก มัน ครับ ค่ะ คะ นะ"
    " ล่ะ ละ ด้วย ถูก บ้าง อัน คน ตั้งแต่ จน นาน แค่ ใช้ สำหรับ หลัง ก่อน อนุมัติ เรื่อง จ่าย ราคา วัน เดือน ปี สัปดาห์"
    " ชั่วโมง ครั้ง เวลา กรณี ถ้า หาก สามารถ ควร รับ ผิดชอบ อนุญาต ยกเว้น เหตุผล ตัวอย่าง กฎ จำนวน สูง ต่ำ สุด"
    " มาก น้อย เร็ว บ่อย ค่า",
)
LANGUAGES = {
    "en": _EN,
    "de": _DE,
    "fr": _FR,
    "it": _IT,
    "pt": _PT,
    "es": _ES,
    "hi": _HI,
    "th": _TH,
}
