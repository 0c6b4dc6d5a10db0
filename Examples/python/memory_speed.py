"""Measures seconds a token at several budgets and draws them: memory_speed.py MODEL [OUT.png]"""

import sys
import time

import leafcutter
import matplotlib

matplotlib.use("Agg")

path = sys.argv[1]
output = sys.argv[2] if len(sys.argv) > 2 else "memory-speed.png"
CONTEXT, TOKENS = 128, 16

plan = leafcutter.plan(path, memory="1TiB", context=CONTEXT, logit_rows=1, disk_rate="1GB/s")
enough = plan.minimum + plan.parts["pinned"]
results = []
for share in (0, 0.25, 0.5, 1):
    memory = int(plan.minimum + share * (enough - plan.minimum))
    with leafcutter.Model(path, memory=memory, context=CONTEXT, logit_rows=1) as model:
        arrivals = [time.monotonic() for _ in model.generate("春", greedy=True, max_tokens=TOKENS, allow_empty=True)]
    seconds = [later - earlier for earlier, later in zip(arrivals, arrivals[1:])]
    results.append({"budget": memory, "decode_seconds_per_token": seconds})
    print(f"{memory / 2**20:.0f} MiB: {sum(seconds) / len(seconds):.3f} s a token")

leafcutter.plot_memory_speed(results).figure.savefig(output)
