"""The phone inventory that labels of all synthesisers are brought to (IPA)."""

from __future__ import annotations

SILENCE = "_"

_IPA = (
    "p b t d k ɡ f v θ ð s z ʃ ʒ h m n ŋ l ɹ j w tʃ dʒ ɾ x r ts ɲ "
    "i ɪ e ɛ æ a ɑ ɔ o ʊ u ʌ ə ɜ ɚ y ø œ ɐ eɪ aɪ ɔɪ aʊ oʊ iə"
)
PHONES: tuple[str, ...] = (SILENCE, *_IPA.split())
"""Index 0 is silence."""

_ALIAS_PAIRS = (
    "ʔ:_ ɫ:l əl:l ʎ:l ɬ:l ɝ:ɚ ɜː:ɜ ʁ:r ʀ:r ɽ:ɾ g:ɡ ç:x ɣ:x β:b ɸ:f ʋ:v ɥ:w ɕ:ʃ ʑ:ʒ ʂ:ʃ ʐ:ʒ tɕ:tʃ dʑ:dʒ ʈ:t ɖ:d "
    "pf:f ɒ:ɑ ᵻ:ɪ ɨ:ɪ ʉ:u əʊ:oʊ ɔʊ:oʊ iː:i ɤ:ʌ ɯ:u oɪ:ɔɪ ɔø:ɔɪ ɑʊ:aʊ eə:ɛ ɛə:ɛ ɪə:iə ʊə:ʊ aɪə:aɪ aʊə:aʊ n̩:n "
    "m̩:m dz:z ɐɪ:aɪ ɐʊ:aʊ ei:eɪ ai:aɪ au:aʊ ou:oʊ oi:ɔɪ ʏ:y ɶ:œ ɘ:ə ɵ:ø ɹ̩:ɚ hw:w ɱ:m ɦ:h "
)
_ALIAS: dict[str, str] = dict(pair.split(":") for pair in _ALIAS_PAIRS.split())

_ARPABET_PAIRS = (
    "p:p b:b t:t d:d k:k g:ɡ f:f v:v th:θ dh:ð s:s z:z sh:ʃ zh:ʒ hh:h m:m n:n ng:ŋ l:l r:ɹ y:j w:w ch:tʃ jh:dʒ "
    "dx:ɾ iy:i ih:ɪ ey:eɪ eh:ɛ ae:æ aa:ɑ ao:ɔ ow:oʊ uh:ʊ uw:u ah:ʌ ax:ə er:ɚ axr:ɚ ay:aɪ oy:ɔɪ aw:aʊ pau:_ "
    "brth:_ h#:_ ssil:_ "
)
ARPABET: dict[str, str] = dict(pair.split(":") for pair in _ARPABET_PAIRS.split())

_INDEX = {phone: index for index, phone in enumerate(PHONES)}
UNKNOWN = -1
_MODIFIERS = str.maketrans("", "", "ːˈˌ̃ʰʲˑ̩̯̪ˤ.-")


def phone_index(ipa: str) -> int:
    """Index into :data:`PHONES`; ``UNKNOWN`` for a sound that has no place there.

    >>> PHONES[phone_index("ɑː")], phone_index(""), phone_index("ǃ")
    ('ɑ', 0, -1)
    """
    if not ipa.strip():
        return 0
    plain = ipa.strip().translate(_MODIFIERS)
    for name in (ipa, plain, _ALIAS.get(ipa, ""), _ALIAS.get(plain, "")):
        if name in _INDEX:
            return _INDEX[name]
    return UNKNOWN
