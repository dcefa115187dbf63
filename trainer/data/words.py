"""What the synthetic speakers say: common English words and invented ones, in random order.

The order is random on purpose: the embedder shall learn sounds, not a language. Words that the benchmarks enrol are
left out, so that "a word it never heard" is true.
"""

from __future__ import annotations

import numpy as np

_COMMON = """
about above across action after again against air allow almost along already also although always among amount animal
another answer anything appear area around arrive article artist attack author autumn baby back balance ball bank basic
beach beautiful because become before begin behavior behind believe benefit better between beyond bicycle bird birthday
blood board body bottle bottom boundary branch bread break breakfast bridge bright bring broken brother budget build
building burn business butter button buy camera campaign capital captain carbon career careful carry castle catch cause
center central century certain chair challenge chance change channel chapter character charge cheap check cheese chicken
child choice choose church circle citizen city claim class clean clear climate clock close clothes cloud coach coast
collect college column combine comfort common company compare complete concern condition connect consider contain
continue control corner correct cost cotton council country couple courage course cover create crime crisis culture
current curtain customer damage dance danger daughter decade decide deep defend degree deliver demand depend describe
desert design desk detail develop device difference difficult dinner direction discover discuss disease distance divide
doctor dollar door doubt dragon drama dream dress drink drive during dust duty early earth easily eastern economy edge
education effect effort either election electric element elephant emotion employ empty energy enjoy enough enter entire
equal error escape especially evening event every evidence exactly example except exchange exercise expect experience
explain express extra eye face fact factory failure fall family famous farmer fashion father favorite fear feature
federal feeling fence fiction field fight figure final finger finish fish flight floor flower follow foot foreign forest
forget formal fortune forward freedom fresh friend front fruit full function future gallery garden gather general gentle
gesture giant girl global golden government grandmother ground group growth guard guess guest guide guitar habit hair
hammer hand happen happy harbor hardly health heart heavy height help history holiday honest honor hope horse hospital
hotel hour hundred hunger husband idea image imagine impact important improve include increase indeed industry inform
inside instead instrument interest invite island item jacket join journey judge juice jump junior jungle justice keep
kettle key kid kitchen knee knife knock know label labor ladder lady lake language laser laugh law lawyer leader learn
leather leave legal lemon length lesson letter level library life lift limit listen liquid local lonely long look lose
lucky lunch machine magazine magic maintain major manage manner manual market marriage material matter maybe meaning
measure media member memory mention message metal method middle mind minute miss mission mistake mixture model modern
moment money monkey month moon morning mother motion mountain mouth move movement movie much muscle music mystery nation
nature near neck need neighbor nervous network never news next night noise normal north nose nothing notice number nurse
object ocean offer office often oil once onion open opinion orange order ordinary organ origin other outside oxygen
package page pain paint palace paper parent park partner party passenger past patient pattern payment peace pencil
people pepper perfect perhaps period permit person phone physical piano picture piece pilot pink pipe place planet plant
plastic plate player pleasure pocket poem point police policy popular position possible potato power practice prepare
present press pretty prevent price prince private prize problem process produce profit program promise proof property
protect proud provide public pull purple purpose push puzzle quality quarter question quickly quiet rabbit radio railway
rain raise rapid rather reach reaction reader ready reason receive recent record red reduce region relate release remain
remember remove repeat reply report rescue respond rest result return reveal rhythm rich ride ring river road robot rock
role roof room rough round rule safety salad salt same sample sand save scale scene school science screen search season
second secret section seem select sell senior sense sentence separate serious serve seven shadow shake shape share sharp
sheep shelter shine ship shirt shoe short shoulder show signal silence silver similar simple since sister situation
skill sky sleep slowly smile smoke smooth snow social society soft soldier solution someone song sorry sound source
south space speak special speech speed spell spirit sport spread spring square stable stage stand star start station
stay steam steel step stick stomach stone storm story straight strange stream street strength strong structure student
study style subject success sudden suffer suggest summer sun supply support surface surprise sweet swim symbol system
table talent talk target task taste teach teacher team technique telephone temperature tennis terrible theory thick
thing think third thousand thread through thunder ticket tiger tight timber time tissue title today together tomorrow
tongue tool tooth total touch tourist toward tower town trade traffic train travel treat tree trial trouble trust truth
twist type ugly uncle under understand union unique unit universe until upper urban usual valley value variety vegetable
vehicle version victim victory video village violin vision visit vital voice volume wagon wait walk wall want warm wash
watch water wave weather wedding week weight welcome west wheel whether while whisper winter wisdom wish witness woman
wonder wooden work worker world worry worth write wrong yellow yesterday young youth zebra zero
a and are as at be but by can do for from had has he her him his how i if in is it just me my no not of or our out she
so some that the their them then they this to us was we what when which who will with you your
"""
COMMON_WORDS: tuple[str, ...] = tuple(_COMMON.split())

_ONSETS = (
    "b d f g h j k l m n p r s t v w y z ch sh th bl br cl cr dr fl fr gl gr pl pr sc sk sl sm sn sp st sw tr str kw"
)
_NUCLEI = "a e i o u ai ee oa oo ou oi ar er or ow aw igh ay ea"
_CODAS = "b d f g k l m n p r s t v z ch sh th ng nk st nd nt lt rd rk mp ft sk ct"


def invented_word(rng: np.random.Generator) -> str:
    """One to three pronounceable syllables.

    >>> invented_word(np.random.default_rng(1)).isalpha()
    True
    """
    onsets, nuclei, codas = _ONSETS.split(), _NUCLEI.split(), _CODAS.split()
    syllables = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))):
        onset = str(rng.choice(onsets)) if rng.random() < 0.85 else ""
        coda = str(rng.choice(codas)) if rng.random() < 0.5 else ""
        syllables.append(onset + str(rng.choice(nuclei)) + coda)
    return "".join(syllables)


def random_sentence(rng: np.random.Generator, n_words: int, invented_share: float = 0.35) -> str:
    """Words in random order, lower case, separated by blanks."""
    words = [
        invented_word(rng) if rng.random() < invented_share else str(rng.choice(COMMON_WORDS)) for _ in range(n_words)
    ]
    return " ".join(words)
