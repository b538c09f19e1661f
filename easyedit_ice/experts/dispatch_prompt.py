"""The question which expert a prompt is for, put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from easyedit_ice.errors import ExpertError
from easyedit_ice.experts.expert import Expert
from easyedit_ice.runtime.untrusted import fields_of

TEMPLATE = "{question}\nWhich of these is this about: {labels}? It is about"
OTHER = "other"


@dataclass(frozen=True)
class Wording:
    """How the model is asked which expert a question is for.

    Attributes:
        labels: by an expert's name the text that stands for it; its name where there is none.
        descriptions: by an expert's name what is said of it in the question; its label where there is none.
        template: with ``{question}``, and ``{labels}`` in place of all descriptions; a label follows.
        other: the label that stands for the base.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    template: str = TEMPLATE
    other: str = OTHER

    def __post_init__(self) -> None:
        try:
            names = fields_of(self.template)
        except ValueError as error:
            raise ExpertError(f"the template {self.template!r} has braces that name nothing ({error})") from error
        if "question" not in names or names - {"question", "labels"}:
            raise ExpertError(
                f"the template {self.template!r} must hold {{question}}, may hold {{labels}}, and nothing else in "
                "braces"
            )

    def choices(self, experts: Sequence[Expert]) -> list[str]:
        """The experts' labels in their order, and that of the base after them.

        Raises:
            ExpertError: two are the same, or one is of an expert that is not there.
        """
        names = [expert.name for expert in experts]
        others = sorted({*self.labels, *self.descriptions} - set(names))
        if others:
            raise ExpertError(f"there is no expert {', '.join(others)} to label; there are {', '.join(names)}")
        labels = [*(self.labels.get(name, name) for name in names), self.other]
        if len(set(labels)) < len(labels) or not all(label.strip() for label in labels):
            raise ExpertError(f"the labels are {labels}; expected different ones, none of them blank")
        return labels

    def asked(self, experts: Sequence[Expert], question: str) -> str:
        """The text that a label shall follow."""
        labels = self.choices(experts)
        described = [
            self.descriptions.get(expert.name, label) for expert, label in zip(experts, labels[:-1], strict=True)
        ]
        return self.template.format(question=question, labels=", ".join([*described, self.other]))
