# SPDX-License-Identifier: BSD-3-Clause
"""Writes what is made of the programs' parsers: docs/guide/options.md, and what completes options in a shell.

    python docs/options.py

Completions are made by shtab, which nobody needs who uses them.
"""

import importlib
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guide" / "options.md"
COMPLETIONS = ROOT / "cbn" / "cli" / "completion"
SHELLS = ("bash", "zsh")
# Values that are files or folders, by how --help calls them.
FILES, FOLDERS = ("FILE", "PATH", "MODEL"), ("DIR",)

HEAD = """# Options of all programs

Made of the programs' parsers by `python docs/options.py`. What the programs have in common, configuration files and
completion are in [Command lines](command-lines.md).

Without a sign of its own an option has no default, or one that depends on others, as its text below says.
"""


def parsers():
    """Program -> its parser, in the order of pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    modules = {program: entry.rpartition(":start_")[2] for program, entry in scripts.items()}
    return {program: importlib.import_module(f"cbn.cli.{name}").build_parser() for program, name in modules.items()}


def options_of(parser):
    """Name -> action of everything that can be given: the first spelling of options, the metavar of what has none."""
    return {spellings(action)[0]: action for action in parser._actions}


def spellings(action):
    """--names first, -h after them."""
    names = sorted(action.option_strings, key=lambda name: not name.startswith("--"))
    return names or [action.metavar or action.dest]


def value_of(action):
    """The value of an option as --help writes it; "" for a flag."""
    if action.nargs == 0 or not action.option_strings:
        return ""
    word = action.metavar or "{" + ",".join(map(str, action.choices)) + "}"
    return {"?": f"[{word}]", "+": f"{word} ..."}.get(action.nargs, word)


def all_options(found):
    """Name -> {program: action}: what most programs have comes first, by name among as many."""
    together = {}
    for program, parser in found.items():
        for name, action in options_of(parser).items():
            together.setdefault(name, {})[program] = action
    return dict(sorted(together.items(), key=lambda item: (-len(item[1]), item[0].lower())))


def page(found):
    """The text of docs/guide/options.md."""
    together, programs = all_options(found), list(found)
    lines = [HEAD, "## Which program has which", ""]
    lines += [row(["option", *(f"`{program}`" for program in programs)]), row(["---", *(":-:" for _ in programs)])]
    for name, of in together.items():
        lines.append(row([f"`{name}`", *(sign(of.get(program)) for program in programs)]))
    lines += ["", "## What they mean", ""]
    for name, of in together.items():
        lines += meaning(of, programs)
    return "\n".join(lines) + "\n"


def row(cells):
    return f"| {' | '.join(cells)} |"


def sign(action):
    """A cell of the table: the default where there is one, else a point."""
    if action is None:
        return ""
    default = action.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool) and default != "==SUPPRESS=="
    return f"`{default}`" if plain else "•"


def meaning(of, programs):
    """Lines of one option: its text, or one for each way in which programs put it."""
    texts = {}
    for program, action in of.items():
        value = value_of(action)
        names = ", ".join(f"`{name}{f' {value}' if value else ''}`" for name in spellings(action))
        texts.setdefault((names, prose(action.help)), []).append(program)
    lines = []
    for (names, text), having in texts.items():
        where = "all programs" if len(having) == len(programs) else ", ".join(f"`{program}`" for program in having)
        lines.append(f"- {names} ({where}): {text}")
    return lines


def prose(text):
    """A help text as Markdown."""
    return re.sub(r"([\\*`<|])", r"\\\1", (text or "").replace("%%", "%"))


def completions(found):
    """Name of file -> text, for every program and shell."""
    import shtab

    made = {}
    for program, parser in found.items():
        for action in parser._actions:
            word = action.metavar or ""
            if action.choices is None and word in FILES + FOLDERS:
                action.complete = shtab.FILE if word in FILES else shtab.DIRECTORY
        for shell in SHELLS:
            made[f"{program}.{shell}"] = shtab.complete(parser, shell=shell)
    return made


def main():
    found = parsers()
    PAGE.write_text(page(found))
    COMPLETIONS.mkdir(exist_ok=True)
    made = completions(found)
    for path in COMPLETIONS.iterdir():
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (COMPLETIONS / name).write_text(text)


if __name__ == "__main__":
    main()
