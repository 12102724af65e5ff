"""Shell commands of a Markdown text: fenced blocks (sh, bash, console or no language) and indented lines that start
with a program of ours."""

import re


def fenced_blocks(text):
    """(language, lines) of each fenced block. Fences come in pairs: the end of one block is not the start of another."""
    language, lines = None, []
    for line in text.split("\n"):
        fence = re.match(r"```\s*(\w*)\s*$", line)
        if not fence:
            lines.append(line)
        elif language is None:
            language, lines = fence.group(1), []
        else:
            yield language, lines
            language = None


def shell_commands(text):
    """One string a command; lines that end in a backslash are joined."""
    lines = [line for language, block in fenced_blocks(text) if language in ("sh", "bash", "console", "") for line in block]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    # Other indented lines are prose: list items that go on.
    lines += re.findall(r"^    ((?:smelt(?:-run|-opt)? |(?:\./)?(?:tools|build)/).*)$", prose, re.M)
    commands = re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")
    return [re.sub(r"^\$ ", "", command.strip()) for command in commands if command.strip() and not command.strip().startswith("#")]
