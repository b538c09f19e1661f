"""What to edit: validated facts and the probes that score them.

EasyEdit hands every algorithm a list of dicts. :meth:`EditRequest.prepare` turns it into
:class:`EditRequest` objects, or raises an error that names the fact at fault, before any model is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from easyedit_ice.errors import (
    ContradictionError,
    DuplicateFactError,
    EmptyTargetError,
    EmptyTextError,
    LengthMismatchError,
    ProbeFormError,
    PromptTooLongError,
    RequestError,
    SubjectNotFoundError,
    UnknownKeyError,
    UnknownTokenError,
    did_you_mean,
)
from easyedit_ice.runtime.untrusted import is_unicode
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.subjects import mentions
from easyedit_ice.text.tokens import tokens

KEYS = (
    "prompt",
    "subject",
    "target_new",
    "ground_truth",
    "rephrase_prompt",
    "locality",
    "portability",
    "context",
)
"""Of a fact as a dict; all but ``prompt`` and ``target_new`` may be left out."""
OTHER_NAMES = {"target": "target_new", "rephrase": "rephrase_prompt"}
"""What keys are called elsewhere; files of facts may have these."""
NOTES = ("id", "case_id", "index", "relation", "relation_id", "target_new_id", "ground_truth_id", "cond")
"""Keys that published files have, and that say nothing about how a fact is edited."""
_NESTED = 8
"""Most lists around the first alias of a ground truth."""

ProbeKinds = Mapping[str, tuple["Probe", ...]]


@dataclass(frozen=True)
class Probe:
    """A question that scores an edit.

    Attributes:
        prompt: the question's text, up to the answer.
        answers: the answers that are all expected, each as a tuple of aliases.
    """

    prompt: str
    answers: tuple[tuple[str, ...], ...]

    @property
    def answer(self) -> str:
        """The first alias of the first answer: what EasyEdit scores."""
        return self.answers[0][0]


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
        prompt = _text(record.get("prompt"), "prompt", index)
        if subject is not None:
            subject = _text(subject, "subject", index)
            prompt = prompt.replace("{}", subject)
        rephrase = record.get("rephrase_prompt")
        return cls(
            prompt=prompt,
            target_new=_text(record.get("target_new"), "target_new", index),
            subject=subject,
            ground_truth=_first_string(record.get("ground_truth")),
            rephrase_prompt=None if rephrase is None else _text(rephrase, "rephrase_prompt", index),
            locality=_probes(record.get("locality"), "locality", index),
            portability=_probes(record.get("portability"), "portability", index),
            context=_context(record.get("context"), index),
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
                    _refuse_unknown(_mapping(record, index), index)
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


def check_tokens(
    request: EditRequest, index: int, tok: Any, context_length: int | None, vocabulary: int | None = None
) -> None:
    """Refuse a fact that the model's tokenizer, embedding or context cannot hold.

    Args:
        request: the fact.
        index: its place in the batch.
        tok: a transformers tokenizer.
        context_length: positions the model has, in tokens; ``None`` if unlimited.
        vocabulary: tokens that the model has an embedding for; ``None`` not to look.

    Raises:
        EmptyTargetError: the target tokenises to nothing.
        UnknownTokenError: the model has no embedding for a token of the fact.
        PromptTooLongError: prompt and target together exceed the context.
    """
    if not tok.encode(request.completion, add_special_tokens=False):
        raise EmptyTargetError(
            f"the target {request.target_new!r} tokenises to nothing; give a target this tokenizer knows", index
        )
    ids = tokens(tok, request.asked() + request.completion)
    length, unknown = len(ids), [token for token in ids if vocabulary is not None and token >= vocabulary]
    if unknown:
        raise UnknownTokenError(
            f"the tokenizer makes token {unknown[0]} ({tok.decode(unknown[:1])!r}) of it, and the model has embeddings "
            f"for {vocabulary} tokens; give the tokenizer that belongs to the model, or enlarge its embedding "
            "(model.resize_token_embeddings)",
            index,
        )
    if context_length is not None and length > context_length:
        raise PromptTooLongError(
            f"prompt and target take {length} tokens, but the model's context is {context_length}; shorten the prompt",
            index,
        )


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


def for_editors(records: Any) -> Any:
    """What editors read of EasyEdit's requests, which hold what its other methods and its evaluation read as well."""
    if isinstance(records, (str, Mapping)) or not isinstance(records, Iterable):
        return records  # refused later, and told as it is
    return [
        {key: record[key] for key in KEYS if key in record} if isinstance(record, Mapping) else record
        for record in records
    ]


def _refuse_unknown(record: Mapping[str, Any], index: int) -> None:
    """What is read over in silence would be missed, such as an answer under another name."""
    for key in record:
        if key in KEYS or key in NOTES:
            continue
        name = OTHER_NAMES.get(str(key))
        meant = f" It is called {name!r} here." if name else did_you_mean(str(key), KEYS)
        raise UnknownKeyError(f"the key {key!r} is not known.{meant} A request has: {', '.join(KEYS)}", index)


def _mapping(record: Any, index: int) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        raise ProbeFormError(
            f"a request must be a dict with 'prompt' and 'target_new', not {type(record).__name__}", index
        )
    return record


def _text(value: Any, name: str, index: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise EmptyTextError(f"{name} is {value!r}; it must be a string that is not blank", index)
    if not is_unicode(value):
        raise EmptyTextError(f"{name} is {value!r}, which holds half of a character; mend the text", index)
    return value


def _check_texts(request: EditRequest, index: int) -> None:
    """What :meth:`EditRequest.from_dict` checks, for a request that was made without it."""
    texts = {"prompt": request.prompt, "target_new": request.target_new}
    optional = {"subject": request.subject, "rephrase_prompt": request.rephrase_prompt}
    for name, value in (texts | {name: value for name, value in optional.items() if value is not None}).items():
        _text(value, name, index)
    _context(request.context, index)
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
                _text(probe.prompt, f"{section}[{kind!r}] prompt", index)


def _first_string(value: Any) -> str | None:
    """The first alias of a ground truth given as a string, a list, or a list of lists."""
    for _ in range(_NESTED):
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = value[0] if value else None
    return value if isinstance(value, str) and is_unicode(value) else None


def _context(value: Any, index: int) -> tuple[str, ...]:
    if value is None:
        return ()
    statements = [value] if isinstance(value, str) else value
    if not isinstance(statements, Sequence):
        raise EmptyTextError(f"context is {value!r}; it must be a string or a list of strings", index)
    return tuple(_text(statement, "context", index) for statement in statements)


def _probes(kinds: Any, section: str, index: int) -> dict[str, tuple[Probe, ...]]:
    """Read ``{kind: {"prompt": str | [str], "ground_truth": ...}}`` or ``{kind: [{"prompt", ...}, ...]}``."""
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        raise ProbeFormError(f"{section} is {kinds!r}; it must map each kind to its probes", index)
    if odd := [kind for kind in kinds if not isinstance(kind, str) or not is_unicode(kind)]:
        raise ProbeFormError(f"{section} has the kind {odd[0]!r}; a kind must be a string of Unicode text", index)
    return {kind: _kind_probes(probes, f"{section}[{kind!r}]", index) for kind, probes in kinds.items()}


def _kind_probes(probes: Any, where: str, index: int) -> tuple[Probe, ...]:
    if isinstance(probes, Mapping):
        pairs = _paired(probes, where, index)
    elif isinstance(probes, Sequence) and not isinstance(probes, str):
        pairs = [pair for probe in probes for pair in _paired(_probe_mapping(probe, where, index), where, index)]
    else:
        raise ProbeFormError(f"{where} is {probes!r}; expected {{'prompt': …, 'ground_truth': …}}", index)
    return tuple(
        Probe(_text(prompt, f"{where} prompt", index), _answers(truth, f"{where} ground_truth", index))
        for prompt, truth in pairs
    )


def _probe_mapping(probe: Any, where: str, index: int) -> Mapping[str, Any]:
    if not isinstance(probe, Mapping):
        raise ProbeFormError(f"{where} holds {probe!r}; expected {{'prompt': …, 'ground_truth': …}}", index)
    return probe


def _paired(probe: Mapping[str, Any], where: str, index: int) -> list[tuple[Any, Any]]:
    missing = {"prompt", "ground_truth"} - probe.keys()
    if missing:
        held = ", ".join(sorted(map(str, probe))) or "nothing"
        raise ProbeFormError(f"{where} lacks {' and '.join(sorted(missing))}; it has {held}", index)
    prompts, truths = probe["prompt"], probe["ground_truth"]
    if isinstance(prompts, str):
        return [(prompts, truths)]
    if not isinstance(prompts, Sequence) or not isinstance(truths, Sequence) or isinstance(truths, str):
        raise ProbeFormError(f"{where} must hold a prompt with its answer, or a list of each", index)
    if len(prompts) != len(truths):
        raise LengthMismatchError(f"{where} has {len(prompts)} prompts but {len(truths)} answers", index)
    return list(zip(prompts, truths, strict=True))


def _answers(truth: Any, where: str, index: int) -> tuple[tuple[str, ...], ...]:
    """Answers as tuples of aliases; a probe without an answer has the empty answer EasyEdit scores."""
    listed = truth if isinstance(truth, Sequence) and not isinstance(truth, str) else [truth]
    answers = (_aliases(answer, where, index) for answer in listed)
    return tuple(aliases for aliases in answers if aliases) or (("",),)


def _aliases(answer: Any, where: str, index: int) -> tuple[str, ...]:
    """The aliases of an answer; numbers are read as they are written."""
    if answer is None:
        return ()
    listed = answer if isinstance(answer, Sequence) and not isinstance(answer, str) else [answer]
    if odd := [alias for alias in listed if not isinstance(alias, (str, int, float)) or not is_unicode(str(alias))]:
        raise ProbeFormError(f"{where} holds {odd[0]!r}; an answer is a text, or a list of its aliases", index)
    return tuple(map(str, listed))


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
