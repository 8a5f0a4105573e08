"""A text game of three commands that stands in for a kitchen: press the lamp, then pull the lever; the door ends it badly."""

from langgraph_fluxmem.demo.kitchen import Frame

TASK = "Read the sign. Press the lamp and pull the lever."


class Toy:
    def __init__(self, limit=12):
        self.task = ""
        self.limit = limit
        self.resets = 0

    def reset(self):
        self.task = TASK
        self.resets += 1
        self.lit = self.won = self.lost = False
        self.steps = 0
        return self._frame("You are in a hall.")

    def step(self, command):
        assert command in self._commands(), command
        self.steps += 1
        if command == "press lamp":
            self.lit = True
            return self._frame("The lamp glows.")
        if command == "pull lever":
            self.won = True
            return self._frame("The gate opens.")
        if command == "open door":
            self.lost = True
            return self._frame("A pit.")
        return self._frame("The sign says: press the lamp first.")

    def close(self):
        pass

    def _commands(self):
        return ("open door", "press lamp", *(("pull lever",) if self.lit else ()), "read sign")

    def _frame(self, text):
        return Frame(
            observation=text,
            description="A hall with a lamp, a lever, a sign and a door." + (" The lamp glows." if self.lit else ""),
            inventory="You carry nothing.",
            commands=self._commands(),
            score=self.lit + self.won,
            max_score=2,
            won=self.won,
            lost=self.lost,
            steps=self.steps,
            done=self.won or self.lost or self.steps >= self.limit,
        )
