"""Checks that every error message is expected by some test: `every_message_tested.py SOURCE_ROOT [FOLDER...]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Takes each statement that emits an error in the sources of the folders (default: dialects, passes, lowering), and looks for
a test that expects its literal parts in order: as an expected-error, in a FileCheck line, or in a Python test. Of a choice
between two literals both are needed. Also, every constraint that docs/spec.md marks [V] is cited in an expected message.
"""

import itertools
import pathlib
import re
import sys

import project

root = pathlib.Path(sys.argv[1])
folders = sys.argv[2:] or ["dialects", "passes", "lowering"]
EMIT = re.compile(r"\b(emitOpError|emitError|emitOptionalError)\b")
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
# Any token: strings and comments first, so that what is in them is not code.
TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[;?:]|[^\s\w]|\w+", re.DOTALL)

# Messages that no input can cause, with the reason. Keep it short.
UNREACHABLE = {}


def unescape(literal):
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), literal)


def messages(text):
    """Statements that emit an error: their line, and the sequences of literals they can print."""
    tokens = [match for match in TOKEN.finditer(text) if not match[0].startswith(("//", "/*"))]
    for start, token in enumerate(tokens):
        if not EMIT.fullmatch(token[0]):
            continue
        parts = []  # lists of alternatives
        previous = None
        for place in range(start + 1, len(tokens)):
            current = tokens[place][0]
            # The end of the statement, or of a lambda that only makes the diagnostic.
            if current in ";{}":
                break
            if current.startswith('"'):
                literal = unescape(current[1:-1])
                if previous and previous.startswith('"') and parts:
                    parts[-1] = [alternative + literal for alternative in parts[-1]]
                elif previous == ":" and tokens[place - 2][0].startswith('"') and tokens[place - 3][0] == "?":
                    parts[-1].append(literal)
                else:
                    parts.append([literal])
            previous = current
        line = text.count("\n", 0, token.start()) + 1
        for chosen in itertools.product(*parts):
            literals = [literal for literal in chosen if literal.strip(" :,.'\"[]()")]
            if literals:
                yield line, literals


def expectations():
    """What tests expect, as one text for each expectation."""
    found = []
    for path in project.files(root, ".mlir", ".test", under="test"):
        text = (root / path).read_text()
        found += re.findall(r"expected-(?:error|warning|remark|note)(?:-re)?[^{\n]*\{\{(.*?)\}\}\s*$", text, re.MULTILINE)
        found += re.findall(r"^(?:.*?[ \t/;#])?[A-Z][A-Z0-9_-]*:[ \t]+(.*)$", text, re.MULTILINE)
    for path in project.files(root, ".py", under="test"):
        if "hygiene" not in path.parts:
            found += [unescape(match) for match in STRING.findall((root / path).read_text())]
    return found


def main():
    findings = []
    checked = 0
    expected = expectations()
    text = "\n".join(expected)
    unreachable = dict(UNREACHABLE)
    for folder in folders:
        for path in project.files(root, ".cpp", ".h", under=folder):
            for line, literals in messages((root / path).read_text()):
                checked += 1
                pattern = ".*?".join(re.escape(literal.strip(" ")) for literal in literals)
                if unreachable.pop(" ... ".join(literals), None):
                    continue
                if not re.search(pattern, text):
                    findings.append(f"{path}:{line}: no test expects: {' ... '.join(literals)}")
    findings += [f"exception for a message that does not exist: {message}" for message in unreachable]

    cited = set(re.findall(r"\b([A-Z]\d+): ", text))
    specification = (root / "docs/spec.md").read_text()
    for constraint in re.findall(r"\*\*([A-Z]\d+) \[V\]\*\*", specification):
        checked += 1
        if constraint not in cited:
            findings.append(f"docs/spec.md: no test cites constraint {constraint}")
    project.finish(findings, checked, "messages and constraints")


main()
