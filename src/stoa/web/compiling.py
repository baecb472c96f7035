"""Templates that are quick: a page makes thousands of calls, and most of what it says is known when it is compiled."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, Final, cast

from jinja2 import Environment, Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.runtime import Context, Macro
from jinja2.visitor import NodeTransformer

# What never wants the context; and what may be marked as wanting it.
_CALLED_AS_THEY_ARE: Final = frozenset({Macro, BuiltinMethodType, type(lru_cache(lambda: None))})
_PERHAPS_MARKED: Final = frozenset({FunctionType, MethodType})
# Globals that give the same for the same text as long as the environment lives.
_FOLDED: Final = frozenset({"_", "gettext", "asset"})
# Where a page keeps the templates that it has imported. No template can name it.
IMPORTED: Final = "imported modules"


class _QuickContext(Context):
    """Calls what a template calls. Jinja2 itself asks each callable four times whether it wants the context."""

    def call(self, obj: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """What `obj` gives."""
        sort = type(obj)
        if sort not in _CALLED_AS_THEY_ARE and (sort not in _PERHAPS_MARKED or hasattr(obj, "jinja_pass_arg")):
            return super().call(obj, *args, **kwargs)
        if kwargs:
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
        return obj(*args, **kwargs)


class _ImportedOnce(Template):
    """A template that a page evaluates once, however many of the page's templates import it with their context: the
    components alone are a hundred macros. What it sees is the context of the first of them.
    """

    def make_module(
        self,
        vars: dict[str, Any] | None = None,  # noqa: A002 - as the method that it replaces has it
        shared: bool = False,
        locals: Mapping[str, Any] | None = None,  # noqa: A002 - as above
    ) -> TemplateModule:
        """What the template exports."""
        made: dict[str | None, TemplateModule] | None = None if vars is None else vars.get(IMPORTED)
        if made is None:
            return super().make_module(vars, shared, locals)
        if self.name not in made:
            made[self.name] = super().make_module(vars, shared, locals)
        return made[self.name]


class _Folding(NodeTransformer):
    """Puts in a call's place what it would give: a text in the environment's language, an asset's address."""

    def __init__(self, known: Mapping[str, Callable[[str], str]]) -> None:
        self._known = known

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - as below
        """Leaves it: Jinja2 forgets, where all that is joined is known, that some of it is HTML."""
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - the visitor finds it by this name
        """Folds one call, if it is of that kind."""
        self.generic_visit(node)
        match node:
            case nodes.Call(
                node=nodes.Name(name=name),
                args=[nodes.Const(value=str(text))],
                kwargs=[],
                dyn_args=None,
                dyn_kwargs=None,
            ) if name in self._known:
                return nodes.Const(self._known[name](text), lineno=node.lineno, environment=node.environment)
            case _:
                return node


class _Escaping(CodeGenerator):
    """Escapes what is no HTML yet, and asks a component's HTML, which is half of what is put out, nothing more."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("(_out if type(_out := ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_post(node, frame, finalize)
        else:
            self.write(") is Markup else escape(_out))")


class QuickEnvironment(Environment):
    """Compiles templates that are quick. Its globals of _FOLDED must be there before the first template is."""

    code_generator_class = _Escaping
    context_class = _QuickContext
    template_class = _ImportedOnce

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        globals_ = cast("Mapping[str, Any]", self.globals)
        known = {one: globals_[one] for one in _FOLDED if one in globals_}
        return super()._generate(_Folding(known).visit(source), name, filename, defer_init)
