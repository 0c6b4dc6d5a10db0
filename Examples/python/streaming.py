"""Prints a text as it is generated: streaming.py MODEL [PROMPT]"""

import sys

import leafcutter

path = sys.argv[1]
prompt = sys.argv[2] if len(sys.argv) > 2 else "《静夜思》李白\n"

with leafcutter.Model(path, memory="2GiB", context=256) as model:
    stream = model.generate(prompt, max_tokens=100)
    try:
        for piece in stream:
            print(piece.text, end="", flush=True)
    except KeyboardInterrupt:
        sys.exit("\nstopped")
    answer = stream.answer
    print()
    print(f"{len(answer.ids)} tokens, {answer.timing.tokens_per_second:.3g} a second; seed {answer.seed}; "
          f"peak {answer.memory.peak / 2**20:.0f} MiB", file=sys.stderr)
