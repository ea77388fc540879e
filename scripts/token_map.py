"""A map of the tokens by UMAP, of what structural_inference wrote: the report's page, with its axes before the others.

    structural_inference --output results ...
    python3 scripts/token_map.py results                     # writes results/token_map.html and results/token_map.npy

UMAP (McInnes, Healy, Melville 2018, arXiv 1802.03426) puts tokens near each other in two dimensions that are neighbours in
the whitened principal components (results/principal_components_whitened_scores.npy), the space in which the clusters are
looked for. Distances on it mean little, and another seed gives another map: what matters should be on both. token_map.npy
(tokens by 2, float32) holds the coordinates, a row for each row of tokens.npy. The same input, seed and machine give the
same map. Needs `pip install umap-learn numpy`. Exit status: 0; 2 on bad input.
"""

import sys

if sys.path and not sys.flags.safe_path:
    del sys.path[0]  # this folder: NumPy would take tokenize.py in it for the standard library's

import argparse
import json
import os
import pathlib
import re
import warnings

NEIGHBOURS = 15  # of a token: as in the graph that the clusters are of


def page_data(page):
    """Begin and end of the data that a report embeds, and the data."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script', page, re.DOTALL)
    if not found:
        raise ValueError("not a report of structural_inference")
    return found.start(1), found.end(1), json.loads(found[1])


def mapped(page, coordinates):
    """The page with the coordinates (tokens by 2) as the first axes of its map."""
    begin, end, data = page_data(page)
    if not data.get("token_map"):
        raise ValueError("the report has no map of tokens")
    if data["token_map"]["rows"] != len(coordinates):
        raise ValueError(f"the report has {data['token_map']['rows']} tokens, the scores {len(coordinates)}: of two runs?")
    shown = coordinates[data["token_map"]["row"]]
    axes = [{"name": f"UMAP {i + 1}", "values": [round(float(x), 4) for x in shown[:, i]]} for i in range(2)]
    data["token_map"]["axes"] = axes + data["token_map"]["axes"]
    return page[:begin] + json.dumps(data, separators=(",", ":")).replace("<", "\\u003c") + page[end:]


def replace_by(path, write):
    """Whole or not at all: written beside, then renamed over."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="\n".join(__doc__.splitlines()[1:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("results", type=pathlib.Path, help="the folder that structural_inference wrote")
    parser.add_argument("page", type=pathlib.Path, nargs="?", help="to write (default: token_map.html in that folder); "
                        "the coordinates go beside it, into a file of the same name that ends in .npy")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of UMAP (default 1)")
    arguments = parser.parse_args()
    page = arguments.page or arguments.results / "token_map.html"
    if page.suffix != ".html":
        parser.error(f"{page}: the name of the page must end in .html")
    try:
        import numpy as np

        warnings.filterwarnings("ignore", message="n_jobs value")  # a seed means one thread: known
        import umap
    except ImportError as missing:
        parser.error(f"{missing}: pip install umap-learn numpy")
    report, scores = arguments.results / "report.html", arguments.results / "principal_components_whitened_scores.npy"
    try:
        source = report.read_text(encoding="utf-8")
        vectors = np.load(scores)
        if vectors.ndim != 2 or len(vectors) <= NEIGHBOURS or not np.isfinite(vectors).all():
            parser.error(f"{scores}: an array of shape {vectors.shape}; wanted more than {NEIGHBOURS} rows of finite numbers")
        mapped(source, np.zeros((len(vectors), 2)))  # before minutes of work
    except (OSError, ValueError, KeyError) as problem:
        parser.error(f"{report}, {scores.name}: {problem}")
    reducer = umap.UMAP(n_neighbors=NEIGHBOURS, n_components=2, random_state=arguments.seed)
    coordinates = reducer.fit_transform(vectors).astype(np.float32)
    text = mapped(source, coordinates)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        replace_by(page.with_suffix(".npy"), lambda file: np.save(file, coordinates))
        replace_by(page, lambda file: file.write(text.encode()))
    except OSError as problem:
        parser.error(str(problem))
    print(f"{page}: {len(coordinates)} tokens; coordinates in {page.with_suffix('.npy')}")


if __name__ == "__main__":
    main()
