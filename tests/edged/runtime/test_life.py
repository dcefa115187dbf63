import pytest

from edged.config import Config
from edged.runtime.life import BEGIN_ANEW, Life


class BriefLife(Life):
    """It ends as it is told to; meanwhile somebody may want something else."""

    summary = "brief"

    def __init__(self, config, while_stopping):
        super().__init__(config)
        self._while_stopping = while_stopping

    def start(self):
        self.ask_to_begin_anew("the state database is damaged")

    def stop(self):
        self._while_stopping(self)
        super().stop()

    def _reload(self):
        return None

    def _tick(self, _now_s):
        return None


@pytest.mark.parametrize(
    ("while_stopping", "exit_code"),
    [(Life.ask_to_stop, 0), (Life.ask_to_begin_anew, BEGIN_ANEW), (lambda _: None, BEGIN_ANEW)],
)
def test_who_asks_for_the_end_while_it_would_begin_anew_is_heard(tmp_path, while_stopping, exit_code):
    """The signal was lost: another life began, and the service manager killed it when its patience was over."""
    assert BriefLife(Config(state_dir=tmp_path), while_stopping).run() == exit_code
