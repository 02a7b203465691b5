"""What is imported with Lightning, and that metrics of torchmetrics which need transformers have it all the same."""

import subprocess
import sys

PROGRAM = """
import sys
import maas
finder = sys.meta_path[0]
import lightning
import torchmetrics.functional.text.bert as bert
assert "transformers" not in sys.modules
assert finder not in sys.meta_path
print(bert.AutoTokenizer.__name__)
print(isinstance(3, bert.AutoTokenizer))
import transformers
from torchmetrics.text import BERTScore
print(bert.AutoModel.from_pretrained == transformers.AutoModel.from_pretrained)
try:
    bert.AutoModel()
except OSError as error:
    print(error)
"""


def test_lightning_is_imported_without_transformers_and_metrics_have_it_when_they_use_it():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["AutoTokenizer", "False", "True"]
    assert "AutoModel is designed to be instantiated" in done.stdout
