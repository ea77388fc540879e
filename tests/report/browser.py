"""A page opened by Chromium, with a script of what a reader does. The test is skipped where there is no Chromium."""
import html
import json
import re
import shutil
import subprocess
import sys

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if not BROWSER:
    sys.exit(77)


def number(text):
    return float(text.replace("−", "-"))


def opened(page, reader):
    """What `reader`, the body of a script at the end of `page`, has put into `said`; errors of the page are in said["wrong"]."""
    added = f"""<script>window.addEventListener("error", (event) => (window.wrong ??= []).push(event.message));</script>
<script type="module">
const find = (selector) => document.querySelector(selector), said = {{}};
{reader}
said.wrong = window.wrong ?? [];
document.body.dataset.said = JSON.stringify(said);
</script>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", added + "</body>"), encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}",
               "--window-size=1250,1300", "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=180).stdout
    found = re.search(r'data-said="([^"]*)"', shown)
    if not found:
        sys.exit("the page's script did not reach its end")
    return json.loads(html.unescape(found[1]))


def check(expected, said):
    wrong = [name for name, true in ({"no error": said["wrong"] == []} | expected).items() if not true]
    if wrong:
        sys.exit("not so: " + "; ".join(wrong) + "\n" + json.dumps(said, indent=1, ensure_ascii=False))
