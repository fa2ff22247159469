"""The README's tour as a test: its ```sh blocks are run in order in one bash, and what each prints is compared with the
```text block behind it, if there is one. `...` in expected text stands for anything, on a line of its own also for any
number of lines."""

import re
import subprocess

END = "kalamdb-tour-end-of-block"


class Block:
    def __init__(self, line, script):
        self.line = line
        self.script = script
        self.expected = None


def blocks(markdown, heading="## Five-minute tour"):
    """The shell blocks under the heading, with the output that the text promises."""
    found, fence, content, inside = [], None, [], False
    for number, line in enumerate(markdown.split("\n"), 1):
        if fence is None and line.startswith("## "):
            inside = line.strip() == heading
        elif fence is None and line.startswith("```"):
            fence, content, start = line[3:].strip(), [], number
        elif fence is not None and line.strip() == "```":
            if inside and fence == "sh":
                found.append(Block(start, "\n".join(content)))
            elif inside and fence == "text":
                assert found and found[-1].expected is None, f"line {start}: no sh block in front of this text block"
                found[-1].expected = "\n".join(content)
            fence = None
        elif fence is not None:
            content.append(line)
    return found


def matches(expected, actual):
    """Whether the output is what was promised; spaces at the ends of lines do not count."""
    lines = [line.rstrip() for line in expected.strip("\n").split("\n")]
    pattern = ""
    for line in lines:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.split("...")) + "\n"
    text = "".join(line.rstrip() + "\n" for line in actual.strip("\n").split("\n"))
    return re.fullmatch(pattern, text) is not None


def run(found, replace, environment, directory, timeout_s=120):
    """Runs the blocks in one `bash`, after replacing text in them; what each of them printed, as a list. Stops at the first
    command that fails, which the last output then shows."""
    script = "set -e\nexec 2>&1\n"
    for block in found:
        text = block.script
        for old, new in replace.items():
            text = text.replace(old, new)
        script += f"{text}\nprintf '%s\\n' {END}\n"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        cwd=directory,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=timeout_s,
    )
    outputs = done.stdout.split(END + "\n")
    if done.returncode == 0:
        assert outputs.pop() == "", "output behind the last block"
    return done.returncode, outputs
