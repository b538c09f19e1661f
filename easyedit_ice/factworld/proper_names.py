# ruff: noqa: SIM905 - lists of words read best as text
"""Plainly fictional names, made from syllables."""

from __future__ import annotations

import random

PROFESSIONS = (
    "baker pilot carpenter painter surgeon dentist lawyer farmer tailor sculptor gardener journalist "
    "chemist plumber violinist teacher butcher barber florist midwife geologist referee watchmaker librarian"
).split()
INDUSTRIES = (
    "shipping textiles mining banking brewing printing insurance forestry ceramics railways "
    "furniture software fishing perfume toys glassware"
).split()

_ONSETS = "b br d dr f fl g gr h j k kr l m n p pl qu r s sk st t tr v w y z".split()
_VOWELS = "a e i o u ae ei ou".split()
_CODAS = "l m n r s th nd rk sh x".split()

_FIRST_ENDINGS = ["a", "o", "el", "in", "is", "an"]
_SURNAME_ENDINGS = ["wick", "mere", "holt", "sen", "ard", "ov", "stone", "ley", "quist", "ini"]
_CITY_ENDINGS = ["ford", "burg", "haven", "polis", "dale", "port", "minster", "field"]
_COUNTRY_ENDINGS = ["ia", "land", "avia", "oria", "stan"]
_LANGUAGE_ENDINGS = ["ese", "ish", "ic"]
_CURRENCY_ENDINGS = ["al", "ek", "und"]
_ENDINGS = {
    "first": _FIRST_ENDINGS,
    "surname": _SURNAME_ENDINGS,
    "city": _CITY_ENDINGS,
    "country": _COUNTRY_ENDINGS,
    "language": _LANGUAGE_ENDINGS,
    "currency": _CURRENCY_ENDINGS,
    "continent": ["ea", "ora"],
    "river": ["wash", "ane", "mel"],
    "company": ["tek", "corp", "max", "ex"],
    "university": ["mont", "bury", "gate"],
}
_COMPANY_KINDS = ["Works", "Brothers", "Group", "Trading", "Partners"]
_SCHOOL_KINDS = ["Academy", "College", "Institute"]
_NICK_ADJECTIVES = (
    "Amber Silver Crimson Velvet Quiet Golden Iron Misty Lucky Gentle Royal Rusty Silent Merry Frozen Wild"
).split()
_NICK_NOUNS = ("Fox Heron Badger Falcon Otter Raven Lynx Sparrow Wolf Beetle Salmon Hare Owl Stag Cricket Swan").split()


class NameMaker:
    """Draws names that it has never drawn before; the same seed gives the same names."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()

    def word(self, kind: str) -> str:
        """A new capitalised word with an ending typical of ``kind``; currencies are in lower case."""
        while True:
            name = self._syllable() + self._rng.choice(_ENDINGS[kind])
            if kind != "currency":
                name = name.capitalize()
            if self._claim(name):
                return name

    def company(self) -> str:
        """A company's name, such as ``"Brantek Works"``."""
        return f"{self.word('company')} {self._rng.choice(_COMPANY_KINDS)}"

    def university(self) -> str:
        """A university's name, such as ``"Dremont College"``."""
        return f"{self.word('university')} {self._rng.choice(_SCHOOL_KINDS)}"

    def nickname(self) -> str:
        """A nickname, such as ``"Amber Fox"``."""
        while True:
            name = f"{self._rng.choice(_NICK_ADJECTIVES)} {self._rng.choice(_NICK_NOUNS)}"
            if self._claim(name):
                return name

    def _syllable(self) -> str:
        return self._rng.choice(_ONSETS) + self._rng.choice(_VOWELS) + self._rng.choice(_CODAS)

    def _claim(self, name: str) -> bool:
        if name.lower() in self._used:
            return False
        self._used.add(name.lower())
        return True
