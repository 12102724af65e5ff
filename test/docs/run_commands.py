"""Do the READMEs' commands do what the READMEs say? Runs them, word for word, in a folder that looks like the source tree after a build.

Every shell command of every README.md must be run here or be in EXEMPT below. Whatever takes the name models/tiny.json is a smaller spec
that trains in seconds, and text.txt is the licence, several times. README.md comes first; then the others, in the same folder.

usage: run_commands.py SOURCE BUILD FOLDER
"""

import os
import re
import shutil
import subprocess
import sys

from shell_blocks import shell_commands

SOURCE, BUILD, FOLDER = sys.argv[1:]

# Pattern at the start of a command → why it is not run here.
EXEMPT = {
    r"\./tools/demo\b": "trains for a minute; the demo is the acceptance test of its own",
    r"\./tools/(check|install-deps)\b": "runs this test, or installs packages",
    r"(cmake|ctest|ninja)\b": "builds",
    r"(ASAN_OPTIONS=\S+ )?build-\w+/": "of another preset's build",
    r"(python3 test/fuzz/.*|mkdir -p )build-fuzz\b": "of another preset's build",
    r"(\./)?tools/bench/": "measures; its figures are in tools/bench/RESULTS.md",
    r"build/bin/cpu_gemm\b": "measures; its figures are in tools/bench/RESULTS.md",
}
PROGRAMS = ("build/bin/", "smelt ", "smelt-run ", "smelt-opt ", "source ")


def prepare():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(os.path.join(FOLDER, "models"))
    os.symlink(BUILD, os.path.join(FOLDER, "build"))
    # As many tokens a step as in the real one: the READMEs' micro-batches divide them.
    with open(os.path.join(SOURCE, "test/tools/smelt/Inputs/small.json"), encoding="utf-8") as small:
        spec = small.read().replace('"tokens": 256', '"tokens": 2048')
    with open(os.path.join(FOLDER, "models/tiny.json"), "w", encoding="utf-8") as tiny:
        tiny.write(spec)
    with open(os.path.join(SOURCE, "LICENSE"), encoding="utf-8") as file:
        licence = file.read()
    with open(os.path.join(FOLDER, "text.txt"), "w", encoding="utf-8") as file:
        file.write(3 * licence)


def find_readmes():
    readmes = []
    for folder, folders, names in os.walk(SOURCE):
        folders[:] = [f for f in folders if not f.startswith((".", "build")) and f not in ("runs", "carry")]
        readmes += [os.path.relpath(os.path.join(folder, name), SOURCE) for name in names if name == "README.md"]
    return sorted(readmes, key=lambda path: (path != "README.md", path))


def main():
    prepare()
    environment = dict(os.environ, PATH=os.path.join(BUILD, "bin") + os.pathsep + os.environ["PATH"])
    failures, ran = [], 0
    for readme in find_readmes():
        with open(os.path.join(SOURCE, readme), encoding="utf-8") as file:
            commands = shell_commands(file.read())
        for command in commands:
            reason = next((why for pattern, why in EXEMPT.items() if re.match(pattern, command)), None)
            if reason:
                print(f"exempt: {readme}: {command.split('#')[0].strip()}: {reason}")
                continue
            if not command.startswith(PROGRAMS):
                failures.append(f"{readme}: neither run nor exempt: {command}")
                continue
            result = subprocess.run(["bash", "-c", command], cwd=FOLDER, env=environment, capture_output=True, text=True, errors="replace")
            ran += 1
            print(f"ran: {readme}: {command.split('#')[0].strip()}: exit code {result.returncode}")
            if result.returncode:
                failures.append(f"{readme}: {command}\n{result.stdout[-500:]}{result.stderr[-2000:]}")
    for failure in failures:
        print("FAILED", failure)
    print(f"{ran} commands ran, {len(failures)} failed")
    return 1 if failures or not ran else 0


sys.exit(main())
