"""Many facts at once in closed form, and EasyEdit's own MEMIT on the same statistics.

    python examples/mass_edit.py --facts 20

Nothing is computed beforehand or downloaded. It edits the small GPT-2 that comes with the package.
"""

import argparse
import tempfile

from easyedit_ice import BaseEditor, FastMEMITHyperParams, load_model, solve
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.easyedit import hand_over
from easyedit_ice.easyedit.methods.host_settings import host_settings


def in_one_batch(facts: list[dict]) -> None:
    """All facts in one update of low rank."""
    hparams = FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld")
    model, tok = load_model(hparams)
    update = solve(model, tok, facts, hparams)
    update.commit(model)
    written = sum(answer(model, tok, fact["prompt"]) == fact["target_new"] for fact in facts)
    update.revert(model)
    print(f"FastMEMIT wrote {written} of {len(facts)} facts at once, of norm {update.norms()}")


def easyedits_memit(fact: dict) -> None:
    """Our statistics where EasyEdit's MEMIT looks for those of Wikipedia."""
    model, tok = load_model(FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld"))
    with tempfile.TemporaryDirectory() as folder:
        changes = {"mom2_dataset": "wikipedia", "mom2_n_samples": 100_000, "stats_dir": folder}
        hparams = host_settings("MEMIT", "gpt2-factworld", changes)
        hand_over(model, tok, hparams)
        hparams.model_name = (model, tok)
        asked = {"prompts": fact["prompt"], "subject": fact["subject"], "target_new": fact["target_new"]}
        metrics, _, _ = BaseEditor.from_hparams(hparams).edit(**asked, keep_original_weight=True, verbose=False)
    print(f"EasyEdit's MEMIT, right tokens of one fact: {metrics[0]['post']['rewrite_acc'][0]:.0%}")


def answer(model, tok, prompt: str) -> str:
    """What the model writes after the prompt."""
    asked = tok(prompt, return_tensors="pt")
    written = model.generate(**asked, max_new_tokens=12, do_sample=False)[0, asked["input_ids"].shape[1] :]
    return tok.decode(written, skip_special_tokens=True).strip()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=20)
    records = to_requests(load_records("factworld", size=parser.parse_args().facts).records)
    in_one_batch(records)
    easyedits_memit(records[0])
