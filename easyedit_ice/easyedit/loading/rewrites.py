"""What is changed in EasyEdit's source while it is compiled.

For every EasyEdit: ``logging.basicConfig(...)`` and ``seed_everything(...)`` at the top level of a module are
dropped, since an import shall leave the process's logging and random state alone. FT, KN, ULTRAEDIT and SimIE give
the tokenizer a target by itself, and Llama's and Gemma's put a beginning of text first, which would be written as the
target's first token: it is left out.

For the release, written in 2023:

- ``f"cuda:{device}"``, its word for every device, and ``.to("cuda")`` ask
  :func:`~easyedit_ice.model.device.resolve_device` instead, so that ``device: cpu`` works, and ``device: 0`` where
  there is no GPU.
- ``str(model.device).split(":")[1]``, of ``model_parallel``, takes the last part, which a CPU has as well.
- ``cur_out[0][...]`` and ``trace.output[0][...]``, by which MEMIT reads a block's hidden states, go through
  :func:`hidden_states`, since blocks of transformers 5 return no tuple.
- ``del model.peft_config`` after unloading LoRA is skipped where peft (0.19 and later) has done it.

Line numbers stay, files on disk stay, and a module that holds none of this is loaded as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import CodeType
from typing import Any

from easyedit_ice.model.device import resolve_device

_TRIGGERS = (
    b"cuda",
    b"basicConfig",
    b"seed_everything",
    b"cur_out[0][",
    b"del self.model.peft_config",
    b"tok(tgt",
    b"tok(targets",
    b"tokenizer(targets",
    b"tokenizer.encode(target",
)
_TOKENIZERS = ("tok", "self.tokenizer", "self.tokenizer.encode")
_DROPPED = ("logging.basicConfig", "seed_everything")


def hidden_states(output: Any) -> Any:
    """Hidden states (batch, positions, width) from what a transformer block returns."""
    return output[0] if isinstance(output, tuple) else output


def target_tokens(call: Callable[..., Any], target: Any, **options: Any) -> Any:
    """What a tokenizer's ``call`` makes of targets, without the beginning of text that it may put first."""
    tok: Any = getattr(call, "__self__", call)
    begins = tok.bos_token_id is not None and tok("a")["input_ids"][0] == tok.bos_token_id
    return call(target, **options, **({"add_special_tokens": False} if begins else {}))


# Names that changed code uses; they are put into every module of EasyEdit. One leading underscore keeps them out
# of its star imports; two would have them mangled within classes.
HELPERS: dict[str, Callable[..., Any]] = {
    "_easyedit_ice_device": resolve_device,
    "_easyedit_ice_hidden_states": hidden_states,
    "_easyedit_ice_target_tokens": target_tokens,
}


def compile_changed(source: bytes, path: str) -> CodeType | None:
    """Code of a module of EasyEdit after the changes, or ``None`` if there is nothing to change."""
    if not any(trigger in source for trigger in _TRIGGERS):
        return None
    rewriter = _Rewriter()
    tree = rewriter.visit(ast.parse(source, path))
    return compile(ast.fix_missing_locations(tree), path, "exec") if rewriter.changed else None


class _Rewriter(ast.NodeTransformer):
    def __init__(self) -> None:
        self.changed = False

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        node.body = [self._silenced(statement) for statement in node.body]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        match node.values:
            case [ast.Constant(value="cuda:"), ast.FormattedValue(value=device, conversion=-1, format_spec=None)]:
                return self._call("_easyedit_ice_device", device)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(func=ast.Attribute(attr="to"), args=[ast.Constant(value="cuda") as name], keywords=[]):
                node.args = [self._call("_easyedit_ice_device", ast.copy_location(ast.Constant(None), name))]
            case ast.Call(func=function, args=[ast.Name(id="tgt" | "target" | "targets")]) if (
                ast.unparse(function) in _TOKENIZERS
            ):
                self.changed = True
                node.args.insert(0, function)
                node.func = ast.copy_location(ast.Name("_easyedit_ice_target_tokens", ast.Load()), function)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(
                value=ast.Call(func=ast.Attribute(attr="split"), args=[ast.Constant(value=":")]),
                slice=ast.Constant(value=1),
            ):
                self.changed = True
                node.slice = ast.copy_location(ast.Constant(-1), node.slice)
            case ast.Subscript(
                value=ast.Subscript(
                    value=(ast.Name(id="cur_out") | ast.Attribute(attr="output")) as output,
                    slice=ast.Constant(value=0),
                )
            ):
                node.value = self._call("_easyedit_ice_hidden_states", output)
        return self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> ast.AST:
        match node.targets:
            case [ast.Attribute(value=owner, attr="peft_config")]:
                self.changed = True
                holder = ast.parse(ast.unparse(owner), mode="eval").body
                present = ast.Call(ast.Name("hasattr", ast.Load()), [holder, ast.Constant("peft_config")], [])
                return ast.copy_location(ast.If(present, [node], []), node)
        return node

    def _call(self, helper: str, argument: ast.expr) -> ast.Call:
        self.changed = True
        return ast.copy_location(ast.Call(ast.Name(helper, ast.Load()), [argument], []), argument)

    def _silenced(self, statement: ast.stmt) -> ast.stmt:
        match statement:
            case ast.Expr(value=ast.Call(func=function)) if ast.unparse(function) in _DROPPED:
                self.changed = True
                return ast.copy_location(ast.Pass(), statement)
        return statement
