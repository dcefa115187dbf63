"""Do counter-examples leave the word itself alone?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.flow import Float32Array
from edged.references.counters import CounterWord
from edged.references.keyword_gate_set import Templates, best_mean, left_out
from edged.references.keyword_gate_words import WordFinding

MOST_LOST = 0.2
"""Share of a word's clips that a counter-example may be nearer to than the word's other clips."""


def counter_finding(
    templates: Sequence[Float32Array], counters: Sequence[CounterWord], word: str, background: Float32Array
) -> WordFinding:
    """Which clips of a word would be taken for a counter-example.

    Args:
        templates: of all clips of the word, float32 (n_rows, dim) each.
    """
    counters = [one for one in counters if one.templates]
    if not counters or len(templates) < 2:
        return WordFinding()
    known = Templates([*templates, *(rows for one in counters for rows in one.templates)], background)
    distances, doubts, remarks, first = known.nearness(templates).distances, [], [], len(templates)
    own = left_out(distances[:first], first)
    for one in counters:
        lost = int(np.count_nonzero(best_mean(distances[first : first + len(one.templates)]) < own))
        first += len(one.templates)
        line = f"counter-example '{one.name}': {lost} of {len(templates)} clips of '{word}' are nearer to it"
        if lost > MOST_LOST * len(templates):
            doubts.append(f"{line} than to each other and would not be reported")
        elif lost:
            remarks.append(line)
    return WordFinding(tuple(doubts), tuple(remarks))
