"""Checks that every header can be included first: `headers_stand_alone.py SOURCE_ROOT BUILD_ROOT CXX INCLUDE_FOLDER...`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

A header that is the first include of a source is proven by the build. The others are compiled by themselves; the public
ones of the runtime as C and as C++.
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys

import project

root, build, compiler = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
upstream = [option for folder in sys.argv[4:] for part in folder.split(";") for option in ("-isystem", part)]
FIRST_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+["<]([^">]+)[">]', re.MULTILINE)


def spellings(header):
    """How a header is included."""
    text = str(header)
    return {text, text.removeprefix("runtime/include/"), header.name}


def compile_alone(header, language, standard):
    """What the compiler says about a header by itself, or None."""
    path = root / header
    done = subprocess.run(
        [compiler, "-x", language, f"-std={standard}", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         "-Wno-unused-parameter", "-Wno-pragma-once-outside-header", f"-I{root}", f"-I{build}",
         f"-I{root}/runtime/include", *upstream, str(path)],
        capture_output=True, text=True)  # fmt: skip
    return None if done.returncode == 0 else f"{header}: does not stand alone as {language}:\n{done.stderr[-1500:]}"


def main():
    # Those of tests are theirs: some are lists for a macro.
    headers = [path for path in project.files(root, ".h") if path.parts[0] != "test"]
    proven = set()
    for source in project.files(root, ".c", ".cpp"):
        first = FIRST_INCLUDE.search((root / source).read_text())
        if first:
            proven.add((first[1], source.parent))
    jobs = []
    for header in headers:
        if header.is_relative_to("runtime/include"):
            jobs += [(header, "c", "c11"), (header, "c++", "c++20")]
        elif not any(
            name in spellings(header) and ("/" in name or folder == header.parent) for name, folder in proven
        ):
            jobs.append((header, "c++", "c++20"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        findings = [found for found in pool.map(lambda job: compile_alone(*job), jobs) if found]
    print(f"{len(jobs)} compiled")
    project.finish(findings, len(headers), "headers")


main()
