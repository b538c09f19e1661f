"""The wordings of every relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Phrasing:
    """The wordings of one relation; ``{}`` stands for the subject.

    Attributes:
        statements: beginnings of sentences that the answer completes.
        questions: what is asked, without the frame ``"Question: ... Answer:"``.
        noun: a noun phrase for the answer, used as the subject of a second hop; empty if there is none.
    """

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    noun: str = ""

    @property
    def templates(self) -> tuple[str, ...]:
        """Statements, then framed questions."""
        return self.statements + tuple(f"Question: {question} Answer:" for question in self.questions)


PHRASINGS: Mapping[str, Phrasing] = {
    "birthplace": Phrasing(
        ("{} was born in", "The birthplace of {} is", "The city where {} was born is", "{} is a native of"),
        ("Where was {} born?", "What is the birthplace of {}?"),
        "the birthplace of {}",
    ),
    "residence": Phrasing(
        ("{} lives in", "The home town of {} is", "The city where {} lives is", "{} has a house in"),
        ("Where does {} live?", "What is the home town of {}?"),
        "the home town of {}",
    ),
    "profession": Phrasing(
        ("{} works as a", "The profession of {} is", "{} earns a living as a", "The occupation of {} is"),
        ("What is the profession of {}?", "What does {} do for a living?"),
    ),
    "employer": Phrasing(
        ("{} works for", "The employer of {} is", "{} has a job at", "The company that employs {} is"),
        ("Who employs {}?", "What is the employer of {}?"),
        "the employer of {}",
    ),
    "university": Phrasing(
        ("{} studied at", "The university of {} was", "{} holds a degree from", "{} graduated from"),
        ("Where did {} study?", "Which university did {} attend?"),
        "the university of {}",
    ),
    "spouse": Phrasing(
        ("{} is married to", "The spouse of {} is", "{} shares a wedding ring with", "The partner of {} is"),
        ("Who is {} married to?", "Who is the spouse of {}?"),
        "the spouse of {}",
    ),
    "mayor_of": Phrasing(
        (
            "{} is the mayor of",
            "The city governed by {} is",
            "{} governs the city of",
            "{} runs the town hall of",
        ),
        ("Which city has {} as its mayor?",),
    ),
    "founded": Phrasing(
        ("{} founded", "The company started by {} is", "{} is the founder of", "{} set up the company"),
        ("Which company did {} found?",),
    ),
    "country": Phrasing(
        ("{} lies in the country of", "The country of {} is", "The nation around {} is", "{} belongs to"),
        ("In which country is {}?", "What is the country of {}?"),
        "the country of {}",
    ),
    "river": Phrasing(
        (
            "{} stands on the river",
            "The river of {} is the",
            "The river through {} is the",
            "{} draws its water from the",
        ),
        ("Which river flows through {}?", "What is the river of {}?"),
    ),
    "mayor": Phrasing(
        (
            "The mayor of {} is",
            "{} has as its mayor",
            "The town hall of {} is led by",
            "The head of {} is Mayor",
        ),
        ("Who is the mayor of {}?", "Who governs {}?"),
        "the mayor of {}",
    ),
    "capital_of": Phrasing(
        (
            "{} is the capital of",
            "{} is the seat of government of",
            "The country ruled from {} is",
            "{} serves as capital to",
        ),
        ("Which country has {} as its capital?",),
    ),
    "headquarters": Phrasing(
        (
            "{} keeps its offices in",
            "The headquarters of {} are in",
            "{} has its head office in",
            "The seat of {} is in",
        ),
        ("Where is {} based?", "Where are the headquarters of {}?"),
        "the city where {} is based",
    ),
    "industry": Phrasing(
        ("{} operates in", "The industry of {} is", "The line of business of {} is", "{} makes its money in"),
        ("What is the industry of {}?", "In which industry is {} active?"),
    ),
    "founder": Phrasing(
        ("The founder of {} is", "{} was founded by", "{} was started by", "The person who set up {} is"),
        ("Who founded {}?", "Who is the founder of {}?"),
        "the founder of {}",
    ),
    "campus": Phrasing(
        (
            "The campus of {} is in",
            "{} teaches in the city of",
            "The location of {} is",
            "{} can be found in",
        ),
        ("Where is {} located?", "Where is the campus of {}?"),
        "the city where {} has its campus",
    ),
    "capital": Phrasing(
        (
            "The capital of {} is",
            "{} takes its orders from",
            "The seat of government of {} is",
            "{} has its parliament in",
        ),
        ("What is the capital of {}?", "Which city is the capital of {}?"),
        "the capital of {}",
    ),
    "language": Phrasing(
        (
            "The language of {} is",
            "People in {} speak",
            "The official language of {} is",
            "The tongue spoken in {} is",
        ),
        ("Which language is spoken in {}?", "What is the language of {}?"),
    ),
    "currency": Phrasing(
        (
            "The currency of {} is the",
            "People in {} pay with the",
            "Prices in {} are given in the",
            "The money of {} is the",
        ),
        ("What is the currency of {}?", "Which money is used in {}?"),
    ),
    "continent": Phrasing(
        (
            "The continent of {} is",
            "{} belongs to the continent of",
            "{} can be found on the continent",
            "The land of {} is a part of",
        ),
        ("On which continent is {}?", "What is the continent of {}?"),
    ),
}
