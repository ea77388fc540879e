"""Code in README.md and docs/*.md is cut from examples/, whose programs are compiled and whose output is compared.

Every ```cpp block is a piece of one file under examples/, white space apart. A block fenced as
```text examples/NAME.expected is that file. Relative links lead to files that exist (pictures apart).
"""
import pathlib
import re
import sys

FENCE = re.compile(r"^(`{3,}|~{3,})\s*(.*?)\s*$")
CODE = {"c", "c++", "cc", "cpp", "cxx", "hpp"}  # any of these is checked, so that no other spelling escapes

root = pathlib.Path(__file__).resolve().parents[2]


def normalised(text):
    return " ".join(text.split())


def blocks(lines):
    """(line number, language and what follows it, text) of each fenced block; an unclosed one has text None."""
    opening = None
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line.strip())
        if opening is None:
            if fence:
                opening, body = (number, fence), []
        elif fence and not fence[2] and fence[1].startswith(opening[1][1]):
            yield opening[0], opening[1][2], "\n".join(body) + "\n"
            opening = None
        else:
            body.append(line)
    if opening is not None:
        yield opening[0], opening[1][2], None


wrong = []
examples = {p: normalised(p.read_text()) for p in (root / "examples").rglob("*") if p.suffix in (".cpp", ".hpp")}
for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
    name, text = page.relative_to(root), page.read_text()
    for number, info, block in blocks(text.splitlines()):
        language, _, source = info.partition(" ")
        if block is None:
            wrong.append(f"{name}:{number}: the block does not end")
        elif language.lower() in CODE:
            if not block.strip() or not any(normalised(block) in code for code in examples.values()):
                wrong.append(f"{name}:{number}: this code is not in any file under examples/")
        elif source:
            if not (root / source).is_file():
                wrong.append(f"{name}:{number}: there is no {source}")
            elif (root / source).read_text() != block:
                wrong.append(f"{name}:{number}: this is not what {source} holds")
    for picture, link in re.findall(r"(!?)\[[^\]]*\]\(([^)#\s]+)[^)]*\)", text):
        if not picture and not re.match(r"\w+:", link) and not (page.parent / link).exists():
            wrong.append(f"{name}: {link} does not exist")
sys.exit("\n".join(wrong) or 0)
