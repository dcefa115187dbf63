"""Real daemons in which one thing is broken on purpose."""


def sabotage(plant, code):
    """Let `edged run` do this first."""
    command = plant.command

    def sabotaged(verb, *arguments):
        line = command(verb, *arguments)
        if verb != "run":
            return line
        return [line[0], "-c", f"{code}\nfrom edged.cli.main import main\nmain()", *line[3:]]

    plant.command = sabotaged
