"""The type stubs describe what is there."""

import ast
import inspect
from pathlib import Path

import handcar
from handcar import _handcar, plot, ps

FOLDER = Path(handcar.__file__).parent


def parameters(node):
    a = node.args
    return [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs) if p.arg != "self" and p.arg != "cls"]


def compare(body, owner):
    private = {n.name: n for n in body if isinstance(n, ast.ClassDef) and n.name.startswith("_")}

    def members(node):
        return [m for b in node.bases if getattr(b, "id", "") in private for m in members(private[b.id])] + node.body

    for node in body:
        # What stands in private classes is compared with the public ones that have it from them.
        if isinstance(node, ast.ClassDef) and node.name not in private:
            compare(members(node), getattr(owner, node.name))
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
    for module, name in ((handcar, "__init__.pyi"), (_handcar, "_handcar.pyi"), (ps, "ps/__init__.pyi"), (plot, "plot.pyi")):
        tree = ast.parse((FOLDER / name).read_text())
        compare(tree.body, module)
        named = {n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
        public = {n for n in getattr(module, "__all__", dir(module)) if not n.startswith("_") and not inspect.ismodule(getattr(module, n))}
        named |= {a.asname for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
        assert public <= named, public - named
    assert (FOLDER / "py.typed").exists()
    classes = {n.name: n for n in ast.parse((FOLDER / "__init__.pyi").read_text()).body if isinstance(n, ast.ClassDef)}
    for estimator in (handcar.LogisticRegression, handcar.SGDClassifier, handcar.SGDRegressor):
        stub = next(n for n in classes[estimator.__name__].body if getattr(n, "name", "") == "__init__")
        assert parameters(stub) == list(estimator().get_params())
