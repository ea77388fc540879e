"""Token ids of texts, by a tokenizer of Hugging Face's, as the .npy file that susc::read_tokens takes.

    python3 scripts/tokenize.py --tokenizer FOLDER_OR_tokenizer.json --length 129 --output tokens.npy TEXT...

Each TEXT is a UTF-8 file: one document, or, if it ends in .jsonl, one a line, under the key "text". Documents are joined by
the separator and cut into sequences of --length tokens (int32, sequences by length): a model of context C takes up to
C + 1, of which the last is only predicted. What is left at the end is dropped. With --begin every sequence begins with that
token, for models that expect one. Needs `pip install tokenizers numpy`; nothing is downloaded.
"""

import sys

if sys.path and not sys.flags.safe_path:
    del sys.path[0]  # this folder: NumPy would take this file for the standard library's tokenize

import argparse
import json
import pathlib

import numpy as np
from tokenizers import Tokenizer


def documents(path):
    with open(path, encoding="utf-8") as file:
        if path.suffix == ".jsonl":
            yield from (json.loads(line)["text"] for line in file if line.strip())
        else:
            yield file.read()


def sequences(texts, tokenizer, length, separator, begin):
    """(sequences, length) ids; separator and begin are ids, or None."""
    stream = []
    for text in texts:
        if stream and separator is not None:
            stream.append(separator)
        stream += tokenizer.encode(text, add_special_tokens=False).ids
    step = length if begin is None else length - 1
    rows = np.array(stream[: len(stream) // step * step], dtype=np.int32).reshape(-1, step)
    return rows if begin is None else np.insert(rows, 0, begin, axis=1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="\n".join(__doc__.splitlines()[1:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("texts", nargs="+", type=pathlib.Path, metavar="TEXT", help="UTF-8 file, or .jsonl")
    parser.add_argument("--tokenizer", required=True, type=pathlib.Path, help="tokenizer.json, or the folder it lies in")
    parser.add_argument("--length", required=True, type=int, help="tokens of a sequence, at least 2")
    parser.add_argument("--output", required=True, type=pathlib.Path, help=".npy file to write")
    parser.add_argument("--separator", default="", help='token between documents, such as "<|endoftext|>"')
    parser.add_argument("--begin", default="", help='token that begins every sequence, such as "<s>"')
    arguments = parser.parse_args()
    if arguments.length < 2:
        parser.error(f"--length is {arguments.length}, must be at least 2: a token and its successor")
    path = arguments.tokenizer
    if path.is_dir():
        path /= "tokenizer.json"
    if not path.is_file():
        parser.error(f"{path}: no such file")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as problem:  # whatever the reader objects to, the user wants the sentence and not the traceback
        parser.error(f"{path}: {problem}")

    def id_of(token):
        if not token:
            return None
        if (found := tokenizer.token_to_id(token)) is None:
            parser.error(f"the tokenizer has no token {token!r}")
        return found

    separator, begin = id_of(arguments.separator), id_of(arguments.begin)
    try:
        texts = [text for path in arguments.texts for text in documents(path)]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as problem:
        parser.error(f"cannot read the texts: {type(problem).__name__}: {problem}")
    ids = sequences(texts, tokenizer, arguments.length, separator, begin)
    if len(ids) == 0:
        parser.error(f"the texts have too few tokens for one sequence of {arguments.length}")
    np.save(arguments.output, ids)
    print(f"{arguments.output}: {ids.shape[0]} sequences of {ids.shape[1]} tokens, vocabulary {tokenizer.get_vocab_size()}")


if __name__ == "__main__":
    main()
