# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a built site: links inside of it that lead nowhere, paths of the machine that built it."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Folders of a machine, at the beginning of a path; what a page may name as an example is not among them.
MACHINE = re.compile(r"(?<![\w.-])(/home/\w|/root/|/Users/\w|/tmp/\w|/work/|/build/)")


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.names, self.pictures = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.names |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "img":
            self.pictures.append(found)


def problems(site):
    """One line for everything that is wrong in the pages of a folder."""
    site = Path(site).resolve()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site.name}: no pages"]
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("data:"):
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            if not target.is_file():
                found.append(f"{name}: {link}: no such file")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                found.append(f"{name}: {link}: no such place on that page")
        found += [f"{name}: {picture.get('src')}: no alt text" for picture in page.pictures if "alt" not in picture]
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".js", ".inv", ".txt", ".ipynb", ".py", ".json") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            places = {match.group(0) for match in MACHINE.finditer(text)} | (
                {str(Path.cwd())} if str(Path.cwd()) in text else set()
            )
            found += [f"{path.relative_to(site)}: {place}: a path of this machine" for place in sorted(places)]
    return found


if __name__ == "__main__":
    lines = problems(sys.argv[1])
    print("\n".join(lines), end="\n" if lines else "")
    sys.exit(bool(lines))
