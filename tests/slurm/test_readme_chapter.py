"""The commands of the README's chapter on clusters, in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
from sweeps import CHECKOUT, DONE, Command

README = (CHECKOUT / "README.md").read_text()


def test_the_chapter_on_clusters_leads_from_nothing_to_the_table(tmp_path: Path) -> None:
    command = Command(tmp_path)
    (block,) = re.findall(r"^### On a cluster\n.*?^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    tour = [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("ttfsrun ")]

    for words in tour:
        code, _, err = command(*words)
        assert code == DONE, f"ttfsrun {shlex.join(words)}: {err}"

    assert [words[0] for words in tour] == ["sweep", "status", "gather"]
    table = pd.read_csv(tmp_path / tour[-1][1] / "table.csv")
    assert list(table["status"]) == ["done"] * 12
    assert table["job"].notna().all()
