"""A small CPM-Ant with a head of its own, as transformers 5.23 and later have it, and what it computes.

Run as make-head-fixture.py GOLDEN: writes GOLDEN/models/ant-tiny-head from GOLDEN/models/ant-tiny-c. Needs torch and
transformers 5.23 or later.
"""
import json
import pathlib
import shutil
import sys

import torch
import transformers
from transformers import CpmAntForCausalLM, LogitsProcessorList

golden = pathlib.Path(sys.argv[1])
target = golden / "models" / "ant-tiny-head"
torch.manual_seed(7)
torch.set_num_threads(1)
model = CpmAntForCausalLM.from_pretrained(golden / "models" / "ant-tiny-c" / "hf").eval()
vocab = model.config.vocab_size
table = model.cpmant.input_embedding.weight
with torch.no_grad():
    # A head that drifted from the table by about a third.
    model.lm_head.weight.copy_(table[:vocab] + 0.3 * table.std() * torch.randn(vocab, table.shape[1]))
shutil.rmtree(target, ignore_errors=True)
model.save_pretrained(target / "hf")
model = CpmAntForCausalLM.from_pretrained(target / "hf").eval()

cases = []
for name, ids in {"three": [6, 17, 30], "one": [6], "ten": [6, 8, 250, 33, 9, 120, 77, 31, 299, 40]}.items():
    inputs = torch.tensor([ids])
    with torch.no_grad():
        logits = model(inputs).logits[0]
        new = model.generate(
            inputs, max_new_tokens=12, do_sample=False, num_beams=1, pad_token_id=0, eos_token_id=vocab + 1)
    assert logits.shape[-1] == vocab, logits.shape
    cases.append({"id": name, "input_ids": ids, "logits": logits[-1].tolist(), "new_ids": new[0, len(ids):].tolist()})
(target / "golden.json").write_text(
    json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "cases": cases}) + "\n")
print(target, [case["new_ids"] for case in cases])
