"""build.py OUTPUT VERSION: the reference documentation, OUTPUT/html/index.html. Fails on any warning of Doxygen's and on any
link that leads nowhere; exits 77 where there is no Doxygen."""
import html
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

root = pathlib.Path(__file__).resolve().parents[2]
if not shutil.which("doxygen"):
    print("no doxygen")
    sys.exit(77)
output, version = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
pages = output / "html"
shutil.rmtree(pages, ignore_errors=True)
output.mkdir(parents=True, exist_ok=True)
settings = (root / "docs/reference/Doxyfile").read_text()
settings += f'\nOUTPUT_DIRECTORY = "{output}"\nPROJECT_NUMBER = {version}\n'
run = subprocess.run(["doxygen", "-"], input=settings, text=True, cwd=root)
if run.returncode:
    sys.exit("doxygen: warnings, see above" if pages.exists() else run.returncode)

wrong = []
for page in sorted(pages.glob("*.html")):
    text = page.read_text()
    if command := re.search(r"@(ref|verbatim|copydoc)\b.{,60}", text):  # a link whose text goes over two lines, for one
        wrong.append(f"{page.name}: not understood: {command[0]}")
    for link in re.findall(r'(?:href|src)="([^"#]+)(?:#[^"]*)?"', text):
        link = urllib.parse.unquote(html.unescape(link))
        if re.match(r"\w+:", link):
            continue
        if link.startswith("repository/"):  # a file that pages link to, at its place in the repository
            source = root / link.removeprefix("repository/")
            if source.is_file():
                (pages / link).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, pages / link)
        if not (pages / link).exists():
            wrong.append(f"{page.name}: {link} does not exist")
sys.exit("\n".join(sorted(set(wrong))) or 0)
