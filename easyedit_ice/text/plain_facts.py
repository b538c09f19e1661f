"""Plain, well-known facts, each with a false answer of the same kind: to ask any model before it is edited.

No file of data is needed for them. They are neutral ground: no benchmark's records, and nothing an edit is about.
"""

from __future__ import annotations

from typing import NamedTuple


class PlainFact(NamedTuple):
    """A fact.

    Attributes:
        prompt: what the answer follows.
        subject: as it stands in the prompt.
        answer: the true one.
        other: a false one.
    """

    prompt: str
    subject: str
    answer: str
    other: str

    def request(self) -> dict[str, str]:
        """The fact told anew, as EasyEdit's request dicts."""
        return {
            "prompt": self.prompt,
            "subject": self.subject,
            "target_new": self.other,
            "ground_truth": self.answer,
        }


_CAPITALS = (
    ("France", "Paris", "Madrid"),
    ("Italy", "Rome", "Berlin"),
    ("Japan", "Tokyo", "Moscow"),
    ("Germany", "Berlin", "Paris"),
    ("Spain", "Madrid", "London"),
    ("Russia", "Moscow", "Tokyo"),
    ("Egypt", "Cairo", "Rome"),
    ("Ireland", "Dublin", "Vienna"),
    ("Austria", "Vienna", "Dublin"),
    ("Portugal", "Lisbon", "Cairo"),
)
_LANGUAGES = (
    ("Germany", "German", "Spanish"),
    ("Italy", "Italian", "Russian"),
    ("Japan", "Japanese", "French"),
    ("Mexico", "Spanish", "Italian"),
    ("Brazil", "Portuguese", "German"),
    ("Russia", "Russian", "Japanese"),
    ("Iran", "Persian", "Greek"),
    ("Greece", "Greek", "Chinese"),
)
_CONTINENTS = (
    ("Kenya", "Africa", "Europe"),
    ("Poland", "Europe", "Asia"),
    ("India", "Asia", "Africa"),
    ("Nigeria", "Africa", "Asia"),
    ("Thailand", "Asia", "Europe"),
    ("Sweden", "Europe", "Africa"),
)
_CITIES = (
    ("Munich", "Germany", "Italy"),
    ("Milan", "Italy", "Japan"),
    ("Osaka", "Japan", "Germany"),
    ("Lyon", "France", "Canada"),
    ("Toronto", "Canada", "India"),
    ("Mumbai", "India", "France"),
)
_OTHERS = (
    PlainFact("The mother tongue of Victor Hugo was", "Victor Hugo", "French", "Russian"),
    PlainFact("The mother tongue of Leo Tolstoy was", "Leo Tolstoy", "Russian", "English"),
    PlainFact("The mother tongue of Charles Dickens was", "Charles Dickens", "English", "French"),
    PlainFact("The iPhone is made by", "iPhone", "Apple", "Microsoft"),
    PlainFact("Windows was developed by", "Windows", "Microsoft", "Google"),
    PlainFact("The color of a ripe banana is", "banana", "yellow", "blue"),
    PlainFact("The color of grass is", "grass", "green", "red"),
    PlainFact("The color of snow is", "snow", "white", "black"),
    PlainFact("The profession of Albert Einstein was that of a", "Albert Einstein", "physicist", "painter"),
    PlainFact("The day after Monday is", "Monday", "Tuesday", "Friday"),
)

PLAIN_FACTS: tuple[PlainFact, ...] = (
    *(PlainFact(f"The capital of {name} is", name, *answers) for name, *answers in _CAPITALS),
    *(PlainFact(f"The official language of {name} is", name, *answers) for name, *answers in _LANGUAGES),
    *(PlainFact(f"{name} is a country in", name, *answers) for name, *answers in _CONTINENTS),
    *(PlainFact(f"{name} is a city in", name, *answers) for name, *answers in _CITIES),
    *_OTHERS,
)
