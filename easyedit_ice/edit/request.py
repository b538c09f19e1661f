"""What to edit: validated facts and the probes that score them.

EasyEdit hands every algorithm a list of dicts. :meth:`EditRequest.prepare` turns it into
:class:`EditRequest` objects, or raises an error that names the fact at fault, before any model is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from easyedit_ice.edit.fact_probes import Probe, ProbeKinds, probes_of
from easyedit_ice.edit.fact_texts import first_string, statements_of, text_of
from easyedit_ice.edit.request_keys import refuse_unknown
from easyedit_ice.errors import (
    ContradictionError,
    DuplicateFactError,
    EmptyTextError,
    ProbeFormError,
    RequestError,
    SubjectNotFoundError,
)
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.subjects import mentions


@dataclass(frozen=True)
class EditRequest:
    """One fact to write into a model.

    Attributes:
        prompt: text that the target shall follow, such as ``"The capital of France is"``.
        target_new: what shall follow, such as ``"Lyon"``.
        subject: what the fact is about; it occurs in the prompt.
        ground_truth: what follows before the edit, if known.
        rephrase_prompt: the same question in other words.
        locality: probes whose answers must not change, by kind.
        portability: probes whose answers must change as the fact implies, by kind.
        context: statements of the new fact in the record's own words, used by in-context objectives.
        asking: how the prompt is put to the model; chosen when it is edited, by the setting ``chat``.
    """

    prompt: str
    target_new: str
    subject: str | None = None
    ground_truth: str | None = None
    rephrase_prompt: str | None = None
    locality: ProbeKinds = field(default_factory=dict)
    portability: ProbeKinds = field(default_factory=dict)
    context: tuple[str, ...] = ()
    asking: Asking = PLAIN

    def asked(self, context: str = "") -> str:
        """The text that the target shall follow: the prompt, after a context, and in a chat if that is asked for."""
        return self.asking.text(self.prompt, context)

    @property
    def completion(self) -> str:
        """The target as it follows the text that is asked: with exactly one space between the two where one belongs."""
        return self.asking.gap_after(self.asked()) + self.target_new.strip()

    @property
    def statement(self) -> str:
        """The fact as a sentence without its full stop: prompt and target, whatever way it is asked."""
        return self.prompt + PLAIN.gap_after(self.prompt) + self.target_new.strip()

    def to_dict(self) -> dict[str, Any]:
        """What is to be written, in the form of EasyEdit's request dicts; probes are no part of it."""
        fields = {
            "prompt": self.prompt,
            "target_new": self.target_new,
            "subject": self.subject,
            "ground_truth": self.ground_truth,
            "rephrase_prompt": self.rephrase_prompt,
            "context": list(self.context),
        }
        return {name: value for name, value in fields.items() if value}

    @property
    def its_subject(self) -> str:
        """The subject, of a fact that is known to have one."""
        assert self.subject is not None
        return self.subject

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], index: int = 0) -> EditRequest:
        """Build a request from the dict EasyEdit passes to an algorithm.

        Args:
            record: ``prompt`` and ``target_new``, and optionally ``subject``, ``ground_truth``,
                ``rephrase_prompt``, ``locality``, ``portability`` and ``context``. A ``prompt`` with ``{}``
                in place of its subject (ROME's form) is filled in.
            index: position of the fact in its batch, for error messages.

        Raises:
            EmptyTextError: prompt, target, subject, rephrase or context is empty or not a string.
            ProbeFormError: a probe is not of EasyEdit's form.
            LengthMismatchError: a probe has unequal numbers of prompts and answers.
        """
        subject = record.get("subject")
        prompt = text_of(record.get("prompt"), "prompt", index)
        if subject is not None:
            subject = text_of(subject, "subject", index)
            prompt = prompt.replace("{}", subject)
        rephrase = record.get("rephrase_prompt")
        return cls(
            prompt=prompt,
            target_new=text_of(record.get("target_new"), "target_new", index),
            subject=subject,
            ground_truth=first_string(record.get("ground_truth")),
            rephrase_prompt=None if rephrase is None else text_of(rephrase, "rephrase_prompt", index),
            locality=probes_of(record.get("locality"), "locality", index),
            portability=probes_of(record.get("portability"), "portability", index),
            context=statements_of(record.get("context"), index),
        )

    @classmethod
    def prepare(
        cls,
        records: Iterable[Mapping[str, Any] | EditRequest],
        needs_subject: bool = False,
        unfit: list[RequestError] | None = None,
        check: Callable[[EditRequest, int], None] | None = None,
    ) -> tuple[EditRequest, ...]:
        """Validate a whole batch.

        Args:
            records: EasyEdit's request dicts, or requests.
            needs_subject: whether the algorithm edits at the subject's position.
            unfit: gets the errors of facts that cannot be edited, which are then left out; ``None`` to raise the first.
            check: what else may be wrong with a fact, given with its index in the batch.

        Raises:
            RequestError: one of its subclasses, with the index of the fact at fault; or no fact is left.
        """
        if isinstance(records, (str, Mapping, EditRequest)) or not isinstance(records, Iterable):
            raise ProbeFormError(
                f"requests must be a list of facts, but a single {type(records).__name__} was given; put it into a list"
            )
        earlier: dict[str, tuple[int, str]] = {}
        requests: list[EditRequest] = []
        for index, record in enumerate(records):
            try:
                if isinstance(record, EditRequest):
                    request = record
                    _check_texts(record, index)
                else:
                    refuse_unknown(_mapping(record, index), index)
                    request = cls.from_dict(record, index)
                if needs_subject:
                    _require_subject(request, index)
                if check is not None:
                    check(request, index)
                _refuse_repeat(request, index, earlier)
            except RequestError as error:
                if unfit is None:
                    raise
                unfit.append(error)
            else:
                requests.append(request)
        if not requests:
            raise unfit[-1] if unfit else EmptyTextError("there is no fact to edit; give at least one request")
        return tuple(requests)


def _require_subject(request: EditRequest, index: int) -> None:
    if request.subject is None:
        raise SubjectNotFoundError(
            f"the prompt {request.prompt!r} comes without a subject, which this algorithm needs; "
            "add 'subject' to the request",
            index,
        )
    if not mentions(request.prompt, request.subject):
        raise SubjectNotFoundError(
            f"the subject {request.subject!r} does not occur in the prompt {request.prompt!r}; "
            "spell it as the prompt does",
            index,
        )


def _mapping(record: Any, index: int) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        raise ProbeFormError(
            f"a request must be a dict with 'prompt' and 'target_new', not {type(record).__name__}", index
        )
    return record


def _check_texts(request: EditRequest, index: int) -> None:
    """What :meth:`EditRequest.from_dict` checks, for a request that was made without it."""
    texts = {"prompt": request.prompt, "target_new": request.target_new}
    optional = {"subject": request.subject, "rephrase_prompt": request.rephrase_prompt}
    for name, value in (texts | {name: value for name, value in optional.items() if value is not None}).items():
        text_of(value, name, index)
    statements_of(request.context, index)
    for section in ("locality", "portability"):
        kinds = getattr(request, section)
        if not isinstance(kinds, Mapping) or not all(
            isinstance(probe, Probe) and probe.answers and all(probe.answers)
            for probes in kinds.values()
            for probe in probes
        ):
            raise ProbeFormError(f"{section} is {kinds!r}; it must map each kind to Probe objects with answers", index)
        for kind, probes in kinds.items():
            for probe in probes:
                text_of(probe.prompt, f"{section}[{kind!r}] prompt", index)


def _refuse_repeat(request: EditRequest, index: int, earlier_facts: dict[str, tuple[int, str]]) -> None:
    """Raise if the prompt was seen before; remember it."""
    prompt, target = " ".join(request.prompt.split()), request.target_new.strip()
    first, earlier = earlier_facts.setdefault(prompt, (index, target))
    if first == index:
        return
    if earlier == target:
        raise DuplicateFactError(f"{prompt!r} -> {target!r} already stands at fact {first}; keep one of them", index)
    raise ContradictionError(
        f"{prompt!r} -> {target!r} contradicts fact {first}, which says {earlier!r}; keep one of them, "
        "or edit them one after the other",
        index,
    )
