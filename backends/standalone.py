"""One file out of a generated module and the modules of this library that it needs.

Names that a module defines get its name in front, so that modules can follow each other in one
file; import statements among them disappear. What is left reads like the modules themselves.
"""

from __future__ import annotations

import ast
import io
import tokenize
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

_PACKAGE = Path(__file__).parent


def bundled(text: str) -> str:
    """The text of a generated module with all it imports from this library written before it."""
    order: list[str] = []
    _visit(_imports(text), order)
    # no "from __future__ import annotations": it would turn annotations that are read into text
    parts = [_flattened(_source(name), _prefix(name)) for name in order]
    return "\n\n".join([*parts, _flattened(text, "")])


def _source(module: str) -> str:
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def _prefix(module: str) -> str:
    return module.rpartition(".")[2] + "_"


def _imports(text: str) -> list[str]:
    """Modules of this library that a text imports, in order."""
    return [module for module, _ in _bindings(text).values()]


def _visit(modules: list[str], order: list[str]) -> None:
    for module in modules:
        if module not in order:
            _visit(_imports(_source(module)), order)
            if module not in order:
                order.append(module)


def _bindings(text: str) -> dict[str, tuple[str, str]]:
    """Local names that come from this library: the module, and the name there, "" for itself."""
    found: dict[str, tuple[str, str]] = {}
    for node in _library_imports(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name: (a.name, "") for a in node.names}
            continue
        for alias in node.names:
            module, name = str(node.module), alias.name
            path = _PACKAGE.joinpath(*module.split(".")[1:], name)
            if path.with_suffix(".py").exists() or path.is_dir():
                module, name = f"{module}.{name}", ""
            found[alias.asname or alias.name] = module, name
    return found


def _library_imports(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    return [
        node
        for node in tree.body
        if (isinstance(node, ast.ImportFrom) and str(node.module).startswith("backends"))
        or (isinstance(node, ast.Import) and node.names[0].name.startswith("backends"))
    ]


@lru_cache(maxsize=None)
def _defined(module: str) -> dict[str, str]:
    """Names at the top of a module, and what they are called in the bundle."""
    text, prefix = _source(module), _prefix(module)
    names = _renamings(text, prefix)
    return {name: new for name, new in names.items() if "." not in name}


def _renamings(text: str, prefix: str) -> dict[str, str]:
    """What becomes of names: its own get the prefix, those it imports that of their module."""
    names: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = prefix + node.name
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        for target in targets:
            for each in ast.walk(target):
                if isinstance(each, ast.Name):
                    names[each.id] = prefix + each.id
    for local, (module, name) in _bindings(text).items():
        if name:
            names[local] = _defined(module)[name]
        else:
            names |= {f"{local}.{n}": new for n, new in _defined(module).items()}
    return names


def _flattened(text: str, prefix: str) -> str:
    """The text without imports from this library and with its names renamed."""
    names = _renamings(text, prefix)
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    dropped = [*_library_imports(tree), *_future(tree)]
    for node in dropped:
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = "\n"
    return _renamed("".join(lines), names).strip() + "\n"


def _future(tree: ast.Module) -> list[ast.ImportFrom]:
    return [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]


def _renamed(text: str, names: dict[str, str]) -> str:
    """Identifiers replaced, attributes of other things and names of arguments left alone."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    depths = list(
        accumulate((t.string in "([{") - (t.string in ")]}") if t.string else 0 for t in tokens)
    )
    lines = text.splitlines(keepends=True)
    for k in reversed(range(len(tokens))):
        token = tokens[k]
        if token.type != tokenize.NAME or (k and _names_a_member(tokens[k - 1], token)):
            continue
        end, name = token.end, token.string
        if k + 2 < len(tokens) and tokens[k + 1].string == ".":
            dotted = f"{name}.{tokens[k + 2].string}"
            if dotted in names:
                end, name = tokens[k + 2].end, dotted
        if name not in names or (depths[k] and _is_keyword(tokens, k)):
            continue
        row = token.start[0] - 1
        lines[row] = lines[row][: token.start[1]] + names[name] + lines[row][end[1] :]
    return "".join(lines)


def _names_a_member(before: tokenize.TokenInfo, token: tokenize.TokenInfo) -> bool:
    """Whether a name is an attribute, or a function defined inside something."""
    return before.string == "." or (before.string == "def" and before.start[1] > 0)


def _is_keyword(tokens: list[tokenize.TokenInfo], k: int) -> bool:
    """Whether a name is that of an argument in a call: ``name=`` after a bracket or a comma."""
    if k == 0 or k + 1 == len(tokens) or tokens[k + 1].string != "=":
        return False
    before = next(t for t in reversed(tokens[:k]) if t.type != tokenize.NL)
    return before.string in ("(", ",")
