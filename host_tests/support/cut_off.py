"""A run of `flash` or `provision` that is cut off before a program runs on the board."""

from msgin5g_tools.device import flashing


class Cut(Exception):
    """The run ends here."""


class CutOff:
    """Counts steps and raises Cut at one of them; a test says what else is a step."""

    def __init__(self, monkeypatch):
        self._n_steps = self._cut_at = 0
        real_session_at = flashing.session_at

        def session_at(*arguments):
            return _OpenedSession(real_session_at(*arguments), self.step)

        monkeypatch.setattr(flashing, "session_at", session_at)

    def at(self, step):
        """Cut the next run at its step with this number, from 1; 0: let it run to its end."""
        self._n_steps, self._cut_at = 0, step

    def step(self):
        self._n_steps += 1
        if self._n_steps == self._cut_at:
            raise Cut


class _OpenedSession:
    def __init__(self, opened, step):
        self._opened = opened
        self._step = step

    def __enter__(self):
        return _Session(self._opened.__enter__(), self._step)

    def __exit__(self, *error):
        return self._opened.__exit__(*error)


class _Session:
    def __init__(self, session, step):
        self._session = session
        self._step = step

    def run(self, program, *more):
        self._step()
        return self._session.run(program, *more)

    def __getattr__(self, name):
        return getattr(self._session, name)
