"""Edit one fact of any model and see its answers before and after."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.console import quiet, table
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.hparams import EditHyperParams
from easyedit_ice.registry import ALGORITHMS


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", help="folder or hub name; the embedded model if not given")
    parser.add_argument("--prompt", required=True, help="text the target shall follow")
    parser.add_argument("--target", required=True, help="what shall follow the prompt")
    parser.add_argument("--subject", help="what the fact is about, as spelt in the prompt")
    parser.add_argument("--ask", action="append", default=[], metavar="PROMPT", help="another question to show")
    parser.add_argument("--algorithm", default="ICE-LoRA", help=f"one of {', '.join(ALGORITHMS)}")
    parser.add_argument("--hparams", help="file or preset; by default that of the model's name, else the defaults")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting")
    parser.add_argument("--save", metavar="FOLDER", help="save the update there")
    parser.add_argument("--save-model", metavar="FOLDER", help="save the edited model there")
    parser.add_argument("--max-new-tokens", type=int, default=16, help="length of the answers shown")


def run(arguments: argparse.Namespace) -> int:
    """Edit, and print what the model answers."""
    from easyedit_ice import world
    from easyedit_ice.apply import solve
    from easyedit_ice.evaluation import Question, observe
    from easyedit_ice.loading import load_model

    spec = ALGORITHMS[arguments.algorithm]
    name = arguments.model or str(world.model_path())
    hparams = _hparams(spec.hparams_class, arguments.hparams, name, _settings(arguments.set))
    with quiet():
        model, tok = load_model(hparams)
    fact = {"prompt": arguments.prompt, "target_new": arguments.target, "subject": arguments.subject}
    asked = [Question("shown", prompt, arguments.target, ()) for prompt in (arguments.prompt, *arguments.ask)]
    with quiet():
        before = observe(model, tok, asked, max_new_tokens=arguments.max_new_tokens)
        update = solve(model, tok, [fact], hparams)
        update.commit(model)
        after = observe(model, tok, asked, max_new_tokens=arguments.max_new_tokens)
    rows = [(q.prompt, old.generated, new.generated) for q, old, new in zip(asked, before, after, strict=True)]
    print(table(("prompt", "before", "after"), rows))
    course = update.info["course"]
    print(f"\n{spec.name}: {course['steps']} steps, {'learned' if course['learned'] else 'stopped at the limit'}")
    if arguments.save:
        update.save(arguments.save)
        print(f"update saved in {arguments.save}")
    if arguments.save_model:
        update.to_hf(model, tok, arguments.save_model)
        print(f"edited model saved in {arguments.save_model}")
    return 0


def _hparams(
    hparams_class: type[EditHyperParams], source: str | None, model: str, settings: dict[str, object]
) -> EditHyperParams:
    """From the file or preset asked for, else the preset named like the model, else the defaults."""
    own = model.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    source = source or next((preset for preset in hparams_class.presets() if preset.rpartition("/")[2] == own), None)
    settings = {"model_name": model, **settings}
    return hparams_class.from_dict(settings) if source is None else hparams_class.from_hparams(source, **settings)


def _settings(pairs: list[str]) -> dict[str, object]:
    import yaml

    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise HyperParamsError(f"--set {pair!r} sets nothing; write NAME=VALUE, such as rank=8")
        settings[name] = yaml.safe_load(value)
    return settings
