"""ports.py FILE.s INSTRUCTION MCA CPU...

What llvm-mca says of the innermost loops of FILE that hold INSTRUCTION: cycles a turn if nothing waits for memory.
"""
import re
import subprocess
import sys

path, instruction, mca, *processors = sys.argv[1:]
lines = [line.split("#")[0].strip() for line in open(path)]
cycles = re.compile(r"Total Cycles: *(\d+)")
places = {line[:-1]: i for i, line in enumerate(lines) if line.startswith(".LBB") and line.endswith(":")}


def loops():
    for end, line in enumerate(lines):
        jump = re.fullmatch(r"j\w+\s+(\.LBB\w+)", line)
        begin = places.get(jump[1], end) if jump else end
        body = [line for line in lines[begin + 1 : end + 1] if line and not line.startswith(".p2align")]
        if any(line.startswith(instruction) for line in body) and not any(line.startswith(".LBB") for line in body):
            yield body


print(f"{instruction:>10} {'all':>5} {'stack':>6} " + " ".join(f"{name:>16}" for name in processors))
for body in loops():
    count = sum(line.startswith(instruction) for line in body)
    row = f"{count:10} {len(body):5} {sum('(%rsp' in line for line in body):6}"
    for name in processors:
        command = [mca, f"-mcpu={name}", "-iterations=1000"]
        report = subprocess.run(command, input="\n".join(body), capture_output=True, text=True, check=True).stdout
        row += f" {int(cycles.search(report)[1]) / 1000:16.2f}"
    print(row)
