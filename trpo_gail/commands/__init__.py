"""One file per command: `run(arguments, workers)` parses its flags, calls one function and prints. `FLAGS` has the
dataclass of its flags, and that of each subcommand ("data head"), for completion."""

# name: (module within trpo_gail.commands, its function, what it does)
COMMANDS = {
    "train": ("train", "run", "train a policy from a file of demonstrations (GAIL), alone or under mpirun"),
    "expert": ("train", "expert", "train a policy on the environment's own reward"),
    "clone": ("clone", "run", "fit a policy to demonstrations by behavioural cloning"),
    "evaluate": ("evaluate", "run", "evaluate the policy of a run folder"),
    "export": ("export", "run", "write a run's learned reward or its policy to a file for use elsewhere"),
    "push": ("share", "push", "share a run's policy, with a card: to a folder or to Hugging Face"),
    "pull": ("share", "pull", "make a run folder from what push wrote"),
    "report": ("report", "run", "write a page about one run or several: returns, curves, states, time"),
    "check": ("check", "run", "check an environment before training: spaces, seeds, ends, numbers, speed"),
    "record": ("record", "run", "run a policy and write its episodes to a file of demonstrations"),
    "data": ("data", "run", "print, check, convert, merge, select, plot or fetch files of demonstrations"),
    "compare": ("compare", "run", "compare generators, or any configurations, on equal terms"),
    "paper": ("paper", "run", "list, run and report the experiments of the paper, Ho & Ermon (2016)"),
    "completion": ("completion", "run", "print a script by which bash, zsh or fish completes commands and flags"),
    "bench": ("bench", "run", "measure the speed of training on this machine"),
}

# What the page of a command says beside that.
NOTES = {
    "expert": "The environment pays, and no discriminator learns: --d_step, --discriminator.* and --airl.* would\n"
    "have no effect, and are refused.",
}

# What the subcommands do, by command.
SUBCOMMANDS = {
    "data": {
        "info": "print what a file holds",
        "validate": "look for what is wrong with a file",
        "convert": "write the demonstrations of a file in another format",
        "merge": "put the episodes of several files together",
        "head": "print the first rows",
        "select": "write the episodes that you choose by return, length or number",
        "plot": "draw returns, lengths and actions",
        "list": "print the names of the known demonstrations",
        "fetch": "copy known demonstrations into a folder",
    },
    "compare": {
        "report": "write the tables and the page of a comparison again, from the results so far",
        "pack": "move the results of a comparison into one file, cells.jsonl",
    },
    "paper": {
        "list": "print the cells (the runs of the paper's grid), or the commands that run them",
        "run": "run the cells that are not done yet, several at once",
        "status": "show which cells are done, running, or begun and stopped",
        "table": "print our results beside the paper's, with verdicts",
        "figure": "draw the paper's Figure 1 with our results over it",
        "pack": "move the finished cells' results into one file, cells.jsonl",
    },
    "bench": {
        "throughput": "measure how near training comes to the speed of the simulator, by phase",
        "update": "measure the parts of an update, each beside its matrix products",
        "scaling": "measure what more ranks give, and what they spend in messages and in waiting",
        "memory": "measure the most memory that a rank holds",
        "start": "measure how long it takes to start",
        "data": "measure how fast demonstrations are loaded and converted",
    },
}


def about(command: str) -> str:
    """What a command or a subcommand ("data head") does."""
    name, _, part = command.partition(" ")
    return SUBCOMMANDS[name][part] if part else COMMANDS[name][-1]


def listed(command: str) -> str:
    """The subcommands of a command, a line each; "" if there are none."""
    parts = SUBCOMMANDS.get(command, {})
    width = max(map(len, parts), default=0)
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in parts.items())


def overview(command: str) -> str:
    """The page of a command that is nothing but its subcommands."""
    return f"usage: trpo-gail {command} SUBCOMMAND ...\n\n{about(command)}\n\n{pages(command)}"


def pages(command: str) -> str:
    """Where the help of each subcommand is; "" if there are none."""
    found = listed(command)
    return f"subcommands, each with --help:\n{found}" if found else ""
