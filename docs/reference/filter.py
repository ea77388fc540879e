"""filter.py FILE: a header or a page as Doxygen is to read it, line for line; so that sources need no commands of Doxygen's.

Header: the comment under `#pragma once`, `//` lines too, is that of the file; indented lines of a comment are formulas or tables,
and "See the top of this file." brings them to a class.
Page: headings get labels and links to pages, and to headings, lead to these; links to other files lead to a copy.
"""
import pathlib
import posixpath
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["README.md", "benchmarks/README.md", "benchmarks/peer/README.md",
         *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
INDENTED = re.compile(r"^(\s*///) {3,}\S")
FENCE = re.compile(r"^\s*(```|~~~)")


def declarators(code):
    """The parts of a line `T a, b = {1, 2};`: [`T a`, `T b = {1, 2}`]; nothing if it is not one with several."""
    if not re.match(r"\s*[\w:<>, ]+[ >]\w+( = .*|, .*);$", code):
        return []
    depth, parts = 0, [""]
    for c in code[:-1]:
        depth += (c in "<({") - (c in ">)}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    kind = re.match(r"(.*[ >])\w+$", parts[0].split(" = ")[0])[1]
    return [parts[0], *(kind + part.strip() for part in parts[1:])] if len(parts) > 1 else []


def header(lines, name):
    if "#pragma once" in lines:
        top = lines.index("#pragma once") + 1
        while top < len(lines) and lines[top].startswith("//"):
            lines[top] = re.sub("^///?", "///", lines[top])
            top += 1
    for i, line in enumerate(lines):
        code, mark, comment = line.partition("  ///< ")
        if mark and (parts := declarators(code.rstrip())):  # the comment would be that of the last alone
            for j in range(i + 1, len(lines)):
                if not (more := re.match(r"\s*///<( .*)", lines[j])):
                    break
                comment, lines[j] = comment + more[1], ""
            lines[i] = " ".join(f"{part}; /**< {comment} */" for part in parts)
    inside = [bool(INDENTED.match(line)) for line in lines]
    for i, line in enumerate(lines):
        if line == "#pragma once":
            line = "/// @file"
        if line.strip() == "/// See the top of this file.":
            line = line.replace("See the top of this file.", f"@copydoc {name}")
        if inside[i]:
            slashes, text = line.split("///", 1)
            first, last = i == 0 or not inside[i - 1], i + 1 == len(lines) or not inside[i + 1]
            line = f"{slashes}///{' @verbatim' if first else ''}{text[2:]}{' @endverbatim' if last else ''}"
        elif "///" in line:  # abbreviations end no sentence
            line = re.sub(r"\b(et al|App|eq|e\.g|vs)\.(?: |$)", r"\1.\\ ", line)
        elif re.match(r"\s*friend .*operator==.*= default;$", line):
            line += "  ///< Memberwise."
        elif re.match(r"\s*static void (members|settings)\(auto& self, auto&& each\)", line):
            line = f"/** Calls each(...) with what a checkpoint keeps, or compares. */ {line}"
        lines[i] = line
    # As one /** */ a block, in which Doxygen leaves no slashes before the lines of formulas.
    block = [bool(re.match(r"\s*///(?!<)", line)) for line in lines]
    for i, line in enumerate(lines):
        if block[i]:
            line = re.sub(r"^\s*///", "", line).replace("*/", "* /")
            first, last = i == 0 or not block[i - 1], i + 1 == len(lines) or not block[i + 1]
            line = f"{'/**' if first else ''}{line}{' */' if last else ''}"
        yield line


def label(page, heading=None):
    """Of a page, or of a heading on it, under GitHub's name for that."""
    name = re.sub(r"\W", "_", page.removesuffix(".md"))
    return name if heading is None else f"{name}_{re.sub(r'[^a-z0-9]', '_', heading)}"


def github(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def markdown(lines, page):
    def target(match):
        link, _, heading = match[2].partition("#")
        if match[1] or re.match(r"\w+:", link):  # pictures are found by IMAGE_PATH
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) if link else page
        if path in PAGES:
            to = label(path, heading) if heading else "index" if path == "README.md" else label(path)
            return f"](@ref {to})"
        return f"](repository/{path})"

    fenced = False
    for line in lines:
        if FENCE.match(line):
            fenced = not fenced
            # Doxygen knows a language by the end of a file's name.
            line = re.sub(r"^(\s*)```(\w+).*", r"\1```{.\2}", line)
        elif not fenced:
            if found := re.match(r"(#+) (.*)", line):
                page_title = found[1] == "#"
                if page_title:
                    line = line.replace("`", "")  # titles are plain text
                name = label(page) if page_title else label(page, github(found[2]))
                line += " {#mainpage}" if page_title and page == "README.md" else f" {{#{name}}}"
            else:
                line = re.sub(r"(!\[[^\]]*)?\]\(([^)\s]+)\)", target, line)
        yield line


if __name__ == "__main__":
    file = pathlib.Path(sys.argv[1]).resolve()
    text = file.read_text().splitlines()
    name = file.relative_to(ROOT).as_posix()
    print("\n".join(markdown(text, name) if file.suffix == ".md" else header(text, file.name)))
