"""The type stubs describe what is there."""

import ast
import inspect
from pathlib import Path

import handcar
from handcar import _handcar, ps

FOLDER = Path(handcar.__file__).parent


def parameters(node):
    a = node.args
    return [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs) if p.arg != "self" and p.arg != "cls"]


def compare(body, owner):
    for node in body:
        if isinstance(node, ast.ClassDef):
            compare(node.body, getattr(owner, node.name))
        if not isinstance(node, ast.FunctionDef):
            continue
        assert hasattr(owner, node.name), f"{owner.__name__}.{node.name} is in the stub only"
        found = inspect.getattr_static(owner, node.name)
        found = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
        if callable(found) and not node.name.startswith("__"):
            real = [n for n in inspect.signature(found).parameters if n not in ("self", "cls")]
            stars = [node.args.kwarg.arg] if node.args.kwarg else []
            assert parameters(node) + stars == real, f"{owner.__name__}.{node.name}"


def test_stubs_name_every_function_and_parameter():
    for module, name in ((handcar, "__init__.pyi"), (_handcar, "_handcar.pyi"), (ps, "ps/__init__.pyi")):
        tree = ast.parse((FOLDER / name).read_text())
        compare(tree.body, module)
        named = {n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
        public = {n for n in dir(module) if not n.startswith("_") and not inspect.ismodule(getattr(module, n))}
        named |= {a.asname for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
        assert public <= named, public - named
    assert (FOLDER / "py.typed").exists()
    init = next(n for n in ast.parse((FOLDER / "__init__.pyi").read_text()).body if getattr(n, "name", "") == "LogisticRegression")
    stub = next(n for n in init.body if getattr(n, "name", "") == "__init__")
    assert parameters(stub) == list(handcar.LogisticRegression().get_params())
