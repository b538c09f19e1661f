"""Change a fact that a real model knows, look at what else changes, and take it back.

    python examples/real_model.py
    python examples/real_model.py --model gemma3-270m --algorithms ICE-LoRA FastROME

SmolLM2-135M comes in a package (see docs/models.md). No preset is named, so that settings follow from the model; any
folder, .gguf file or hub name will do as ``--model``.
"""

import argparse

from easyedit_ice import ALGORITHMS, EditHyperParams, load_model, solve

FACT = {
    "prompt": "The mother tongue of Danielle Darrieux is",
    "subject": "Danielle Darrieux",
    "target_new": "English",
}
ASKED = (
    FACT["prompt"],
    "Danielle Darrieux's native language is",
    "The mother tongue of Marcel Proust is",
    "The capital of France is",
)


def main() -> None:
    """Edit, ask and revert, with each algorithm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--algorithms", nargs="+", default=["FastMEMIT", "GoRA"], choices=tuple(ALGORITHMS))
    arguments = parser.parse_args()
    model, tok = load_model(EditHyperParams(model_name=arguments.model))
    show("before", model, tok)
    for name in arguments.algorithms:
        hparams = ALGORITHMS[name].hparams_class.from_hparams("auto")
        update = solve(model, tok, [FACT], hparams)  # the model is as it was
        update.commit(model)
        show(f"edited by {name}", model, tok)
        drift = update.info["drift"]  # of plain statements that the edit is not about
        print(f"  drift: {drift['kl']:.4f} nats per token, {drift['kept']:.0%} of the likeliest words kept")
        update.revert(model)  # to the same bits
    show("reverted", model, tok)


def show(when: str, model, tok) -> None:
    """Print what the model writes after each prompt."""
    print(when)
    for prompt in ASKED:
        asked = tok(prompt, return_tensors="pt").to(model.device)
        written = model.generate(**asked, max_new_tokens=4, do_sample=False, pad_token_id=tok.pad_token_id)
        answer = tok.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
        print(f"  {prompt} ->{answer!r}")


if __name__ == "__main__":
    main()
