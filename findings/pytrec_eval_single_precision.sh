#!/usr/bin/env bash
# pytrec_eval (pytrec-eval-terrier 0.5.11) ranks by scores rounded to float32, and then by the documents' names, the last of the
# alphabet first: the better of two scores that differ after the seventh digit comes second if its name comes first.
#
# Scores are Python's floats, of 53 bits, and nothing is said about fewer. Sums of log probabilities and similarities near 1
# are this close. The same scores less a constant, which leaves their order as it is, get other figures.
# trec_eval keeps `float sim` (its issue 34); the float64 of Python is rounded on the way into it.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pytrec-eval-terrier==0.5.11 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import sys

import pytrec_eval

print("pytrec-eval-terrier", importlib.metadata.version("pytrec-eval-terrier"))
evaluator = pytrec_eval.RelevanceEvaluator({"query": {"a": 1, "b": 0}}, {"recip_rank", "ndcg"})


def figures(scores):
    found = evaluator.evaluate({"query": scores})["query"]
    return round(found["recip_rank"], 4), round(found["ndcg"], 4)


runs = {
    "log probabilities": {"a": -1234.567891, "b": -1234.567892},
    "similarities": {"a": 0.99999999, "b": 0.99999998},
}
seen, shifted = [], []
for name, scores in runs.items():
    least = min(scores.values())
    seen.append(figures(scores))
    shifted.append(figures({document: score - least for document, score in scores.items()}))
    print(f"{name} {scores}, of which a is relevant and has the larger score")
    print(f"  expected reciprocal rank and nDCG {(1.0, 1.0)}, as of the scores less {least}: {shifted[-1]}; seen {seen[-1]}")
sys.exit(0 if set(seen) == {(0.5, 0.6309)} and set(shifted) == {(1.0, 1.0)} else 1)
PY
