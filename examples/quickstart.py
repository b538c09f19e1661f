"""ICE-Grad in an EasyEdit script, and without EasyEdit.

    python examples/quickstart.py

Needs no download: it edits the small GPT-2 that comes with the package and knows an invented world.
"""

from easyedit_ice import BaseEditor, IceGradHyperParams, WeightUpdate, load_model, solve

FACTS = {
    "prompts": ["Voumel Quemwick lives in", "Faeso Faerkov has a job at"],
    "subject": ["Voumel Quemwick", "Faeso Faerkov"],
    "target_new": ["Brethdale", "Rinex Brothers"],
    "rephrase_prompts": ["The city where Voumel Quemwick lives is", "The employer of Faeso Faerkov is"],
}


def with_easyedit() -> None:
    """Two lines differ from a script for ROME: the import above, and the first one here."""
    hparams = IceGradHyperParams.from_hparams("ICE-Grad/gpt2-factworld")
    editor = BaseEditor.from_hparams(hparams)
    metrics, _, _ = editor.edit(**FACTS, keep_original_weight=True)  # every edit is undone after it is scored
    for prompt, target, scores in zip(FACTS["prompts"], FACTS["target_new"], metrics, strict=True):
        before, after = (scores[when]["rephrase_acc"][0] for when in ("pre", "post"))
        print(f"{prompt} {target}: right tokens in other words {before:.0%} -> {after:.0%}")


def without_easyedit() -> None:
    """The edit as a value: find it, put it in, take it out, save it."""
    hparams = IceGradHyperParams.from_hparams("ICE-Grad/gpt2-factworld")
    model, tok = load_model(hparams)
    names = ("prompts", "subject", "target_new")
    requests = [
        {"prompt": prompt, "subject": subject, "target_new": target}
        for prompt, subject, target in zip(*map(FACTS.get, names), strict=True)
    ]
    update = solve(model, tok, requests, hparams)  # both facts together; the model is as it was

    update.commit(model)
    print("edited:  ", answer(model, tok, FACTS["prompts"][0]))
    update.revert(model)
    print("reverted:", answer(model, tok, FACTS["prompts"][0]))

    update.save("quickstart-update")
    WeightUpdate.load("quickstart-update").commit(model)
    print("reloaded:", answer(model, tok, FACTS["prompts"][0]))


def answer(model, tok, prompt: str) -> str:
    """What the model writes after the prompt."""
    written = model.generate(**tok(prompt, return_tensors="pt"), max_new_tokens=12, do_sample=False)
    return tok.decode(written[0], skip_special_tokens=True)


if __name__ == "__main__":
    with_easyedit()
    without_easyedit()
