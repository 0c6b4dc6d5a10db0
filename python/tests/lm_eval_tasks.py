"""Tasks of lm-evaluation-harness, for the tests of the Python door and of the server."""

import json

import lm_eval

LINES = [
    ("白日依山尽，", ["黄河入海流。", "疑是地上霜。", "一行白鹭上青天。"], 0),
    ("床前明月光，", ["更上一层楼。", "疑是地上霜。", "低头思故乡。"], 1),
    ("月落乌啼霜满天，", ["江枫渔火对愁眠。", "黄河入海流。", "花落知多少。"], 0),
]

TASK = """
task: leafcutter_{name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
output_type: {output_type}
test_split: test
num_fewshot: 0
target_delimiter: ""
{rest}
metadata:
  version: 1.0
"""

CHOICE = """doc_to_text: "{{context}}"
doc_to_target: "{{answer}}"
doc_to_choice: "{{options}}"
metric_list:
  - metric: acc
"""
ROLLING = """doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - metric: byte_perplexity
"""
UNTIL = """doc_to_text: "{{title}}"
doc_to_target: "{{first}}"
generation_kwargs:
  until: ["，"]
  max_gen_toks: 20
metric_list:
  - metric: exact_match
"""


def evaluate(model, folder, name, output_type, rows, rest):
    """The results and the samples of a task that is made of these rows."""
    from lm_eval.tasks import TaskManager
    from lm_eval.utils import make_table

    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    task = folder / f"{name}.yaml"
    task.write_text(TASK.format(name=name, data=data, output_type=output_type, rest=rest), encoding="utf-8")
    results = lm_eval.simple_evaluate(
        model=model, tasks=[f"leafcutter_{name}"], bootstrap_iters=0, log_samples=True,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False))
    print(make_table(results))
    return results["results"][f"leafcutter_{name}"], results["samples"][f"leafcutter_{name}"]
