"""Do the words still fit the tree? Reads every README.md and checks what a reader would try:

- links and paths: `dialects/LM/LMOps.td`, [text](path)
- ops: `lm.token_shift` must be an op of that dialect, as mlir-tblgen documents it
- passes: `--smelt-...` must be a pass or pipeline of smelt-opt
- commands: in fenced code, `smelt COMMAND --option` must be what the tool's completion offers; `./tools/x` must be executable

usage: check_docs.py SOURCE BUILD
"""

import os
import re
import subprocess
import sys

from shell_blocks import shell_commands

SOURCE, BUILD = sys.argv[1], sys.argv[2]
TOP = {name for name in os.listdir(SOURCE) if os.path.isdir(os.path.join(SOURCE, name)) and name != ".git"}
DIALECTS = ("lm", "train", "kernel", "exec")
# What stands in a README as a path but is made by a build or a run.
MADE = ("build", "runs")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def known_ops():
    ops = {}
    for dialect in DIALECTS:
        path = os.path.join(BUILD, "docs", f"{dialect}.md")
        with open(path, encoding="utf-8") as file:
            ops[dialect] = set(re.findall(rf"^### `{dialect}\.(\w+)`", file.read(), re.M))
        assert ops[dialect], f"{path} documents no op"
    return ops


def known_attributes():
    """Names like `kernel.workspace` that compiler code gives to attributes, and `lm.numbers` of `#lm.numbers<…>`."""
    names = set()
    for top in ("compiler", "dialects"):
        for folder, _, files in os.walk(os.path.join(SOURCE, top)):
            for name in files:
                if name.endswith((".cpp", ".h", ".td")):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        text = file.read()
                    names.update(re.findall(r'"((?:lm|train|kernel|exec)\.\w+)"', text))
                    for dialect, mnemonic in re.findall(r'AttrDef<(\w+)_Dialect, [^{]*\{\s*let mnemonic = "(\w+)"', text):
                        names.add(f"{dialect.lower()}.{mnemonic}")
    return names


def completion_words():
    """{"compile": {"--dump-dir", ...}, "data-pack": ..., "": {"check", ...}}"""
    script = run(os.path.join(BUILD, "bin", "smelt"), "completion", "bash")
    return {path: set(words.split()) for path, words in re.findall(r"^\s*'([\w-]*)'\) words='([^']*)'", script, re.M)}


def check_command(line, words):
    parts = line.split("#")[0].split()
    path, rest = "", parts[1:]
    while rest and (f"{path}-{rest[0]}" if path else rest[0]) in words:
        path = f"{path}-{rest.pop(0)}" if path else rest.pop(0)
    if not path:
        yield f"no such command: {line.strip()}"
        return
    for word in rest:
        if re.match(r"--?[a-z]", word) and word.split("=")[0] not in words[path]:
            yield f"smelt {path.replace('-', ' ')} has no option {word}"


def check_file(path, ops, attributes, passes, words):
    folder = os.path.dirname(os.path.join(SOURCE, path))
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        text = file.read()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", prose) + re.findall(r'(?:src|href)="([^"#]+)"', prose):
        if "://" not in target and not os.path.exists(os.path.join(folder, target)):
            yield f"link to nothing: {target}"
    for code in re.findall(r"`([^`\n]+)`", prose):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", code) and "..." not in code:
            first = code.split("/")[0]
            if first in TOP and first not in MADE and not any(os.path.exists(os.path.join(base, code)) for base in (SOURCE, folder)):
                yield f"no such file: {code}"
        for dialect, name in re.findall(r"(?<![\w.@\"-])(lm|train|kernel|exec)\.([a-z]\w*)(?![\w.]*[/(])", code):
            if name not in ops[dialect] and f"{dialect}.{name}" not in attributes and name not in ("so", "td", "md", "h", "cpp", "mlir", "json", "smelt", "bin"):
                yield f"no such op: {dialect}.{name}"
    for name in re.findall(r"--(smelt-[\w-]+)", text):
        if name not in passes:
            yield f"no such pass or pipeline: --{name}"
    for line in shell_commands(text):
        if re.match(r"(\./)?(build/bin/)?smelt ", line):
            yield from check_command(line, words)
        tool = re.match(r"(?:\./)?(tools/[\w/.-]+)", line)
        if tool and not os.access(os.path.join(SOURCE, tool.group(1)), os.X_OK):
            yield f"not there or not executable: {tool.group(1)}"


def main():
    ops, attributes, words = known_ops(), known_attributes(), completion_words()
    passes = set(re.findall(r"--(smelt-[\w-]+)", run(os.path.join(BUILD, "bin", "smelt-opt"), "--help")))
    assert passes and words
    readmes = []
    for folder, folders, names in os.walk(SOURCE):
        folders[:] = [f for f in folders if not f.startswith((".", "build")) and f != "runs"]
        readmes += [os.path.relpath(os.path.join(folder, n), SOURCE) for n in names if n.endswith(".md")]
    found = [f"{path}: {problem}" for path in sorted(readmes) for problem in check_file(path, ops, attributes, passes, words)]
    print("\n".join(found) if found else f"{len(readmes)} documents fit the tree")
    return 1 if found else 0


sys.exit(main())
