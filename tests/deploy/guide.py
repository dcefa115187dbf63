"""The commands of a guide, as its readers find them: what stands in its blocks ```sh, line by line."""

import re
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
GUIDES = ("JETSON.md", "FLEET.md", "container/README.md")


def blocks(guide, language="sh"):
    """The blocks of a language, without those for special computers (```sh jetson)."""
    text = (DEPLOY / guide).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return ["".join(line[len(indent) :] for line in block.splitlines(keepends=True)) for indent, block in found]


def commands(guide):
    """One command after the other; what goes on after a backslash, or within a loop, is one."""
    found, open_loop = [], False
    for line in "\n".join(blocks(guide)).replace("\\\n", "").splitlines():
        if open_loop:
            found[-1] += f"\n{line}"
        elif line.strip():
            found.append(line)
        open_loop = (open_loop or line.startswith("for ")) and line != "done"
    return [re.sub(r" {2,}", " ", re.sub(r"\s+# .*$", "", command)) for command in found]
