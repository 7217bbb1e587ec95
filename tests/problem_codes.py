"""Every code that a `Problem` can have, read out of the program's source: what docs/errors.md has to speak of.

A code is a string, one of two strings, or an f-string over the kinds of components, given to `Problem` or to a function that
has a parameter called `code`; or a local variable, or the first of what another function returns, with such values.
"""

import ast
import re

from interpreter.spec.page import KINDS
from tests.conftest import ROOT

CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Source:
    """The program's modules, and the functions in them by name."""

    def __init__(self):
        texts = [path.read_text("utf-8") for path in sorted((ROOT / "interpreter").rglob("*.py"))]
        self.modules = [ast.parse(text) for text in texts if "Problem(" in text or ".refuse(" in text or ".wrong(" in text]
        self.functions = {}
        for node in self.nodes(ast.FunctionDef):
            self.functions.setdefault(node.name, []).append(node)
        self.passing = {"Problem": 0}  # function that is given a code -> where among its arguments
        for name, found in self.functions.items():
            for node in found:
                names = [argument.arg for argument in node.args.args if argument.arg != "self"]
                if "code" in names:
                    self.passing[name] = names.index("code")

    def nodes(self, *kinds):
        return (node for module in self.modules for node in ast.walk(module) if isinstance(node, kinds))

    def codes(self):
        """Every code, as a set."""
        found = set()
        for module in self.modules:
            for call in ast.walk(module):
                if isinstance(call, ast.Call) and (name := called(call)) in self.passing:
                    place = self.passing[name]
                    named = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
                    given = call.args[place] if len(call.args) > place else named[0] if named else None
                    found |= self.values(given, module)
        return {code for code in found if CODE.fullmatch(code)}

    def values(self, node, module, place=None):
        """The texts that an expression may be; with `place`, those of that part of a tuple."""
        if isinstance(node, ast.IfExp):
            return self.values(node.body, module, place) | self.values(node.orelse, module, place)
        if place is not None and isinstance(node, ast.Tuple):
            return self.values(node.elts[place], module)
        if place is not None and isinstance(node, ast.Call):
            returns = [
                inner.value
                for function in self.functions.get(called(node), [])
                for inner in ast.walk(function)
                if isinstance(inner, ast.Return)
            ]
            return set().union(*(self.values(value, module, place) for value in returns))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value}
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "*" for part in node.values]
            return {"".join(parts).replace("*", kind) for kind in KINDS.values()}
        if isinstance(node, ast.Name) and node.id == "code":
            return self.assigned(module)
        return set()

    def assigned(self, module):
        """The texts that a variable called `code` is given somewhere in a module."""
        found = set()
        for node in ast.walk(module):
            for target in node.targets if isinstance(node, ast.Assign) else ():
                if isinstance(target, ast.Name) and target.id == "code":
                    found |= self.values(node.value, module)
                elif isinstance(target, ast.Tuple):
                    names = [part.id if isinstance(part, ast.Name) else "" for part in target.elts]
                    if "code" in names:
                        found |= self.values(node.value, module, names.index("code"))
        return found


def called(call):
    """The bare name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def told(folder):
    """The codes in the golden files of a folder."""
    texts = [path.read_text("utf-8") for path in folder.glob("*.txt")]
    return {code for text in texts for code in re.findall(r"(?:error|warning|note)\[([a-z0-9-]+)\]", text)}
